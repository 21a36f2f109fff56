#include "broker/net/tls_records.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "protocol/base/bytes.hpp"
#include "tests/support/packet_table.hpp"

using namespace spoke;
using namespace spoke::test;
using broker::TlsRecords;
using Alert = TlsRecords::Alert;

namespace {

/// Both ends: the same code with the secrets the other way round.
struct Pair {
    Pair(EVP_CIPHER const* cipher, EVP_MD const* hash)
        : size(static_cast<std::size_t>(EVP_MD_get_size(hash))),
          one(size, std::byte{1}),
          two(size, std::byte{2}),
          server({cipher, hash, one, two, 1}),
          client({cipher, hash, two, one, 0}) {
        // The server has sent a ticket already.
        Buffer ticket;
        TlsRecords{{cipher, hash, one, two, 0}}.seal(std::vector<Bytes>{}, ticket);
        (void)client.open(ticket, ticket);
    }
    std::size_t size;
    Buffer one;
    Buffer two;
    TlsRecords server;
    TlsRecords client;
};

Buffer sealed(TlsRecords& by, std::string const& text) {
    Buffer record;
    Bytes const plain = as_bytes(text);
    by.seal({&plain, 1}, record);
    return record;
}

std::string text_of(std::span<std::byte const> bytes) {
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

}  // namespace

TEST_CASE("tls records: the keys are those of RFC 8448, 3") {
    // The client's application data there: "00 01 ... 31" under
    // client_application_traffic_secret_0.
    auto secret =
        bytes_of("9E40646C E79A7F9D C05AF888 9BCE6552 875AFA0B 06DF0087 F792EBB7 C17504A5");
    auto other =
        bytes_of("A11AF9F0 5531F856 AD47116B 45A95032 8204B4F4 4BFB6B3A 4B4F1F3F CB631643");
    TlsRecords server{{EVP_aes_128_gcm(), EVP_sha256(), secret, other, 0}};
    auto record = bytes_of(
        "17 0303 0043 A23F7054 B62C94D0 AFFAFE82 28BA55CB EFACEA42 F914AA66 BCAB3F2B 9819A8A5"
        "B46B395B D54A9A20 441E2B62 974E1F5A 6292A297 7014BD1E 3DEAE63A EEBB2169 4915E4");
    Buffer output;
    auto opened = server.open(record, output);
    REQUIRE_FALSE(opened.problem);
    CHECK(opened.size == record.size());
    REQUIRE(opened.plain.size() == 50);
    for (std::size_t i = 0; i < 50; ++i) CHECK(opened.plain[i] == static_cast<std::byte>(i));
}

TEST_CASE("tls records: what one end seals the other opens, in order and once") {
    auto cipher = GENERATE(0, 1, 2);
    Pair pair = cipher == 0   ? Pair{EVP_aes_128_gcm(), EVP_sha256()}
                : cipher == 1 ? Pair{EVP_aes_256_gcm(), EVP_sha384()}
                              : Pair{EVP_chacha20_poly1305(), EVP_sha256()};
    Buffer output;
    for (auto const& text : {std::string{}, std::string{"x"}, std::string(16'384, 'y')}) {
        auto record = sealed(pair.server, text);
        for (std::size_t cut = 0; cut < std::min<std::size_t>(record.size(), 40); ++cut) {
            CHECK(pair.client.open(std::span{record}.first(cut), output).size == 0);
        }
        auto opened = pair.client.open(record, output);
        CHECK_FALSE(opened.problem);
        CHECK(opened.size == record.size());
        CHECK(text_of(opened.plain) == text);
    }
    auto record = sealed(pair.client, "once");
    auto again = record;
    CHECK(text_of(pair.server.open(record, output).plain) == "once");
    CHECK(pair.server.open(again, output).problem == Alert::bad_record_mac);
    CHECK(output.empty());
}

TEST_CASE("tls records: a record changed in any byte is refused") {
    auto const size = 5 + 3 + 1 + 16;
    for (std::size_t i = 0; i < size; ++i) {
        Pair pair{EVP_aes_128_gcm(), EVP_sha256()};
        auto record = sealed(pair.client, "abc");
        REQUIRE(record.size() == size);
        record[i] ^= std::byte{1};
        Buffer output;
        auto opened = pair.server.open(record, output);
        // A length that is larger by one waits for the byte, the rest is seen at once.
        bool waits = !opened.problem && opened.size == 0;
        CHECK((opened.problem || (waits && (i == 3 || i == 4))));
        CHECK(opened.plain.empty());
    }
}

TEST_CASE("tls records: lengths and types at their edges") {
    Pair pair{EVP_aes_128_gcm(), EVP_sha256()};
    Buffer output;
    auto problem = [&](char const* hex) {
        auto bytes = bytes_of(hex);
        return pair.server.open(bytes, output).problem;
    };
    CHECK_FALSE(problem("17 0303 4100"));
    CHECK(problem("17 0303 4101") == Alert::record_overflow);
    CHECK(problem("17 0303 0010") == Alert::bad_record_mac);
    CHECK_FALSE(problem("17 0303 0011"));
    CHECK(problem("14 0303 0001") == Alert::unexpected_message);
    CHECK(problem("15 0303 0002") == Alert::unexpected_message);
    CHECK(problem("16 0303 0005") == Alert::unexpected_message);
}

TEST_CASE("tls records: an alert is the end") {
    Pair pair{EVP_aes_128_gcm(), EVP_sha256()};
    Buffer record;
    Buffer output;
    pair.client.seal_alert(Alert::close_notify, record);
    auto opened = pair.server.open(record, output);
    CHECK(opened.is_end);
    CHECK_FALSE(opened.problem);
    CHECK(opened.plain.empty());
}
