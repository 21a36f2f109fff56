#include "bridge/api/compression.hpp"

#include <zlib.h>

#include <catch2/catch.hpp>

namespace spoke::bridge::test {
namespace {

std::string gunzip(std::string_view packed, std::size_t size) {
    z_stream stream{};
    REQUIRE(inflateInit2(&stream, 15 + 16) == Z_OK);
    std::string out(size + 1, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    CHECK(inflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    inflateEnd(&stream);
    return out;
}

}  // namespace

TEST_CASE("gzip: what is packed can be unpacked", "[bridge][http]") {
    for (std::size_t size : {0U, 1U, 1'000U, 300'000U}) {
        std::string text;
        for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('a' + i * i % 23);
        CHECK(gunzip(gzip(text), size) == text);
    }
}

TEST_CASE("gzip: from the least size on", "[bridge][http]") {
    HttpResponse below{.body = std::string(1'023, 'x')};
    compress(below, "gzip", 1'024);
    CHECK(below.header("Content-Encoding").empty());
    HttpResponse at{.body = std::string(1'024, 'x')};
    compress(at, "gzip", 1'024);
    CHECK(at.header("Content-Encoding") == "gzip");
    HttpResponse picture{.content_type = "image/png", .body = std::string(5'000, 'x')};
    compress(picture, "gzip", 1'024);
    CHECK(picture.body.size() == 5'000);
}

}  // namespace spoke::bridge::test
