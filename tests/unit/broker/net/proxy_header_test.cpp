#include "broker/net/proxy_header.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/packet_table.hpp"

using namespace spoke;
using namespace spoke::broker;
using spoke::test::bytes_of;

namespace {

/// One header and what it says. `source` "?": it is refused.
struct Row {
    std::string_view name;
    Buffer bytes;
    std::string source;
    std::uint16_t port = 0;
    std::string common_name{};
    [[nodiscard]] bool is_good() const { return source != "?"; }
};

Row line(std::string_view name, std::string const& text, std::string source, int port = 0) {
    return {name, to_buffer(text), std::move(source), static_cast<std::uint16_t>(port)};
}

/// A version 2 header: command, family and what follows, as bytes_of() takes it.
Buffer block_of(std::string_view command_and_family, std::string_view rest) {
    auto block = bytes_of("0D0A0D0A000D0A515549540A");
    auto put = [&block](Buffer const& bytes) {
        block.insert(block.end(), bytes.begin(), bytes.end());
    };
    put(bytes_of(command_and_family));
    auto body = bytes_of(rest);
    block.push_back(static_cast<std::byte>(body.size() >> 8));
    block.push_back(static_cast<std::byte>(body.size() & 0xFF));
    put(body);
    return block;
}

Row block(std::string_view name, std::string_view command_and_family, std::string_view rest,
          std::string source, int port = 0, std::string common_name = {}) {
    return {name, block_of(command_and_family, rest), std::move(source),
            static_cast<std::uint16_t>(port), std::move(common_name)};
}

/// `text` and zeros up to `size`.
std::string padded(std::string const& text, std::size_t size) {
    auto hex = "'" + text + "'";
    for (auto i = text.size(); i < size; ++i) hex += " 00";
    return hex;
}

std::string const kTcp4 = "C0000207 CB007101 C350 075B ";  // 192.0.2.7:50000 -> 203.0.113.1:1883

std::vector<Row> rows() {
    std::string const long6 = "ffff:f:ffff:ffff:ffff:ffff:ffff:ffff";
    return {
        line("version 1, IPv4", "PROXY TCP4 192.0.2.7 203.0.113.1 50000 1883\r\n", "192.0.2.7",
             50000),
        line("the shortest IPv4 line", "PROXY TCP4 1.1.1.5 1.1.1.6 2 3\r\n", "1.1.1.5", 2),
        line("version 1, IPv6", "PROXY TCP6 2001:db8::7 ::1 65535 0\r\n", "2001:db8::7", 65535),
        line("IPv6 in another form", "PROXY TCP6 2001:DB8:0:0:0:0:0:7 ::1 1 1\r\n", "2001:db8::7",
             1),
        line("unknown", "PROXY UNKNOWN\r\n", ""),
        line("unknown, of the largest size",
             "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
             ""),
        line("one byte more than the largest size",
             "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
             "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535x\r\n",
             "?"),
        line("no header", "GET / HTTP/1.1\r\n", "?"),
        line("MQTT", std::string("\x10\x0C\0\x04MQTT\x04\x02\0\0\0\0", 14), "?"),
        line("small letters", "proxy TCP4 1.1.1.5 1.1.1.6 2 3\r\n", "?"),
        line("a signature that goes wrong at its end", "PROXYS TCP4 1.1.1.5 1.1.1.6 2 3\r\n", "?"),
        line("another family", "PROXY TCP5 1.1.1.5 1.1.1.6 2 3\r\n", "?"),
        line("no family", "PROXY \r\n", "?"),
        line("an IPv6 address in an IPv4 line", "PROXY TCP4 ::1 1.1.1.6 2 3\r\n", "?"),
        line("an IPv4 address in an IPv6 line", "PROXY TCP6 1.1.1.5 ::1 2 3\r\n", "?"),
        line("an address with a leading zero", "PROXY TCP4 01.1.1.5 1.1.1.6 2 3\r\n", "?"),
        line("an address that is too large", "PROXY TCP4 256.1.1.5 1.1.1.6 2 3\r\n", "?"),
        line("a bad destination", "PROXY TCP4 1.1.1.5 1.1.1 2 3\r\n", "?"),
        line("a name", "PROXY TCP4 localhost 1.1.1.6 2 3\r\n", "?"),
        line("a port that is too large", "PROXY TCP4 1.1.1.5 1.1.1.6 65536 3\r\n", "?"),
        line("a port with a sign", "PROXY TCP4 1.1.1.5 1.1.1.6 +2 3\r\n", "?"),
        line("a port with a leading zero", "PROXY TCP4 1.1.1.5 1.1.1.6 02 3\r\n", "?"),
        line("port 0", "PROXY TCP4 1.1.1.5 1.1.1.6 0 3\r\n", "1.1.1.5", 0),
        line("a bad port of the destination", "PROXY TCP4 1.1.1.5 1.1.1.6 2 x\r\n", "?"),
        line("an empty port", "PROXY TCP4 1.1.1.5 1.1.1.6 2 \r\n", "?"),
        line("too few words", "PROXY TCP4 1.1.1.5 1.1.1.6 2\r\n", "?"),
        line("too many words", "PROXY TCP4 1.1.1.5 1.1.1.6 2 3 4\r\n", "?"),
        line("two spaces", "PROXY TCP4  1.1.1.5 1.1.1.6 2 3\r\n", "?"),
        line("a space at the end", "PROXY TCP4 1.1.1.5 1.1.1.6 2 3 \r\n", "?"),
        line("a tab", "PROXY TCP4\t1.1.1.5 1.1.1.6 2 3\r\n", "?"),
        line("LF alone", "PROXY TCP4 1.1.1.5 1.1.1.6 2 3\n", "?"),
        line("CR alone", "PROXY TCP4 1.1.1.5 1.1.1.6 2 3\rX", "?"),
        line("a control character where all is ignored", "PROXY UNKNOWN \x01\r\n", "?"),

        block("version 2, IPv4", "21 11", kTcp4, "192.0.2.7", 50000),
        block("version 2, IPv6", "21 21",
              "20010DB8000000000000000000000007 00000000000000000000000000000001 C350 075B",
              "2001:db8::7", 50000),
        block("a Unix socket", "21 31", padded("/run/app", 108) + padded("/run/mqtt", 108),
              "unix:/run/app"),
        block("a Unix socket with a path of the largest size", "21 31",
              padded(std::string(108, 'p'), 108) + padded("", 108),
              "unix:" + std::string(108, 'p')),
        block("a Unix socket without a name", "21 31", padded("", 216), ""),
        block("a Unix socket with a control character in its name", "21 31",
              "01" + padded("x", 215), ""),
        block("LOCAL", "20 00", "", ""),
        block("LOCAL with addresses and nonsense, which are skipped", "20 11", kTcp4 + "FF", ""),
        block("LOCAL of an unknown family", "20 FF", "", ""),
        block("PROXY of no family", "21 00", "", ""),
        block("version 1 in the form of 2", "11 11", kTcp4, "?"),
        block("an unknown version", "31 11", kTcp4, "?"),
        block("an unknown command", "22 11", kTcp4, "?"),
        block("an unknown family", "21 41", kTcp4, "?"),
        block("datagrams", "21 12", kTcp4, "?"),
        block("addresses cut short", "21 11", "C0000207 CB007101 C350 07", "?"),
        block("IPv4 addresses where IPv6 is said", "21 21", kTcp4, "?"),

        block("TLVs that mean nothing here", "21 11",
              kTcp4 + "01 0004 'mqtt' 02 0003 'a.b' 04 0002 0000 05 0001 FF EE 0000", "192.0.2.7",
              50000),
        block("half a TLV", "21 11", kTcp4 + "04 00", "?"),
        block("a TLV that is longer than the header", "21 11", kTcp4 + "04 0002 00", "?"),
        block("the right checksum", "21 11", kTcp4 + "03 0004 F82EA6F2", "192.0.2.7", 50000),
        block("a wrong checksum", "21 11", kTcp4 + "03 0004 F82EA6F3", "?"),
        block("a checksum of another size", "21 11", kTcp4 + "03 0003 F82EA6", "?"),
        block("TLS without a certificate", "21 11", kTcp4 + "20 0005 01 00000000", "192.0.2.7",
              50000),
        block("a verified certificate", "21 11",
              kTcp4 + "20 0018 03 00000000 21 0007 'TLSv1.3' 22 0006 'bike-7'", "192.0.2.7", 50000,
              "bike-7"),
        block("a certificate shown when the session began", "21 11",
              kTcp4 + "20 000E 05 00000000 22 0006 'bike-7'", "192.0.2.7", 50000, "bike-7"),
        block("a certificate that could not be verified", "21 11",
              kTcp4 + "20 000E 03 00000001 22 0006 'bike-7'", "192.0.2.7", 50000),
        block("a name without a certificate", "21 11",
              kTcp4 + "20 000E 01 00000000 22 0006 'bike-7'", "192.0.2.7", 50000),
        block("a second name", "21 11", kTcp4 + "20 0012 03 00000000 22 0006 'bike-7' 22 0001 'x'",
              "192.0.2.7", 50000, "bike-7"),
        block("a name that is no UTF-8", "21 11", kTcp4 + "20 0009 03 00000000 22 0001 FF", "?"),
        block("TLS that is cut short", "21 11", kTcp4 + "20 0004 01 000000", "?"),
        block("half a TLV inside TLS", "21 11", kTcp4 + "20 0007 01 00000000 22 00", "?"),
    };
}

void check(ProxyResult const& result, Row const& row) {
    if (!row.is_good()) {
        REQUIRE(std::holds_alternative<ProxyProblem>(result));
        CHECK_FALSE(std::get<ProxyProblem>(result).problem.empty());
        return;
    }
    REQUIRE(std::holds_alternative<ProxyHeader>(result));
    auto const& header = std::get<ProxyHeader>(result);
    CHECK(header.size == row.bytes.size());
    CHECK(header.source == row.source);
    CHECK(header.port == row.port);
    CHECK(header.common_name == row.common_name);
}

}  // namespace

TEST_CASE("PROXY header: each row, cut at every byte, and with more behind it") {
    for (auto const& row : rows()) {
        CAPTURE(row.name);
        check(read_proxy_header(row.bytes, {}), row);
        auto longer = row.bytes;
        for (auto byte : as_bytes("\x10\x0C and so on")) longer.push_back(byte);
        check(read_proxy_header(longer, {}), row);
        for (std::size_t cut = 0; cut < row.bytes.size(); ++cut) {
            CAPTURE(cut);
            auto part = read_proxy_header(Bytes{row.bytes}.first(cut), {});
            // A bad one may be seen before it is whole; a good one is never taken for whole.
            if (row.is_good()) CHECK(std::holds_alternative<ProxyIncomplete>(part));
            CHECK_FALSE(std::holds_alternative<ProxyHeader>(part));
        }
    }
}

TEST_CASE("PROXY header: only the versions that are asked for") {
    auto v1 = to_buffer("PROXY UNKNOWN\r\n");
    auto v2 = block_of("20 00", "");
    auto is_taken = [](Buffer const& bytes, ProxyProtocol version) {
        return std::holds_alternative<ProxyHeader>(read_proxy_header(bytes, {version}));
    };
    CHECK(is_taken(v1, ProxyProtocol::any));
    CHECK(is_taken(v2, ProxyProtocol::any));
    CHECK(is_taken(v1, ProxyProtocol::v1));
    CHECK_FALSE(is_taken(v2, ProxyProtocol::v1));
    CHECK_FALSE(is_taken(v1, ProxyProtocol::v2));
    CHECK(is_taken(v2, ProxyProtocol::v2));
}

TEST_CASE("PROXY header: who sends none is found out with the first wrong byte") {
    for (std::string_view text : {"\x10", "\x16\x03\x01", "G", "PRI", "\r\n\r\n\x01"}) {
        CAPTURE(text);
        auto wrong = read_proxy_header(as_bytes(text), {});
        CHECK(std::holds_alternative<ProxyProblem>(wrong));
        auto before = read_proxy_header(as_bytes(text.substr(0, text.size() - 1)), {});
        bool first_is_right = text.size() > 1 && text[0] != '\x16';
        CHECK(std::holds_alternative<ProxyIncomplete>(before) ==
              (text.size() == 1 || first_is_right));
    }
}

TEST_CASE("PROXY header: a block of the largest size, and one byte more, seen before it comes") {
    auto fits = block_of("20 00", padded("", 100));
    ProxySettings settings{ProxyProtocol::any, 116};
    CHECK(std::holds_alternative<ProxyHeader>(read_proxy_header(fits, settings)));
    auto larger = block_of("20 00", padded("", 101));
    auto start = Bytes{larger}.first(16);
    CHECK(std::holds_alternative<ProxyProblem>(read_proxy_header(start, settings)));
}
