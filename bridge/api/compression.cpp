#include "bridge/api/compression.hpp"

#include <zlib.h>

#include <algorithm>

#include "protocol/base/assert.hpp"

namespace spoke::bridge {
namespace {

bool is_refused(std::string_view item) {
    auto q = item.find("q=0");
    return q != std::string_view::npos &&
           item.substr(q + 3).find_first_not_of(".0 ") == std::string_view::npos;
}

bool is_text(std::string_view type) {
    return type.starts_with("text/") || type.starts_with("application/json") ||
           type.starts_with("application/x-ndjson") || type.find("+json") != std::string_view::npos;
}

}  // namespace

bool accepts_gzip(std::string_view accept_encoding) {
    auto is_any = false;
    for (auto item : list_items(accept_encoding)) {
        auto name = item.substr(0, item.find(';'));
        while (name.ends_with(' ')) name.remove_suffix(1);
        auto is_taken = !is_refused(item);
        if (equal_ignoring_case(name, "gzip")) return is_taken;
        if (name == "*") is_any = is_taken;
    }
    return is_any;
}

std::string gzip(std::string_view text) {
    constexpr int kLevel = 1;  // the loop waits for it
    constexpr int kGzipWindow = 15 + 16;
    constexpr int kMemory = 8;
    z_stream stream{};
    auto begun =
        deflateInit2(&stream, kLevel, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY);
    MQ_ASSERT(begun == Z_OK);
    std::string out(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    auto done = deflate(&stream, Z_FINISH);
    MQ_ASSERT(done == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

void compress(HttpResponse& response, std::string_view accept_encoding, std::size_t bytes_min) {
    if (response.body.size() < bytes_min || !is_text(response.content_type)) return;
    if (!response.header("ETag").empty()) return;
    response.headers.emplace_back("Vary", "Accept-Encoding");
    if (!accepts_gzip(accept_encoding)) return;
    response.body = gzip(response.body);
    response.headers.emplace_back("Content-Encoding", "gzip");
}

}  // namespace spoke::bridge
