#include "broker/net/proxy_header.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <boost/crc.hpp>
#include <charconv>
#include <optional>

#include "protocol/topic/utf8.hpp"

namespace spoke::broker {

namespace {

using namespace std::literals;

constexpr std::string_view kLineStart = "PROXY ";
constexpr std::size_t kLineSizeMax = 107;  // CR LF included
constexpr std::string_view kSignature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t kFixedSize = 16;  // signature, command, family, size of the rest

bool is_printable(char c) noexcept {
    return c >= ' ' && c <= '~';
}

std::string address_text(int family, void const* address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(family, address, text.data(), text.size());
    return text.data();
}

// --- version 1 ---

/// The word in front of the next space, taken off `line` together with it.
std::string_view take_word(std::string_view& line) noexcept {
    auto space = line.find(' ');
    auto word = line.substr(0, space);
    line = space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
    return word;
}

std::optional<std::uint16_t> port_of(std::string_view text) noexcept {
    std::uint16_t port = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    bool whole = error == std::errc{} && end == text.data() + text.size();
    bool plain = text == "0" || !text.starts_with('0');
    return whole && plain ? std::optional{port} : std::nullopt;
}

/// In the one form that there is for each address.
std::optional<std::string> canonical_address(int family, std::string_view text) {
    std::array<std::byte, sizeof(in6_addr)> address{};
    if (::inet_pton(family, std::string{text}.c_str(), address.data()) != 1) return std::nullopt;
    return address_text(family, address.data());
}

/// `line`: without CR LF and "PROXY ".
ProxyResult read_line(std::string_view line, std::size_t size) {
    auto words = static_cast<std::size_t>(std::ranges::count(line, ' ')) + 1;
    auto family = take_word(line);
    if (family == "UNKNOWN") return ProxyHeader{size};  // whatever follows says nothing
    if (family != "TCP4" && family != "TCP6") return ProxyProblem{"unknown address family"};
    if (words != 5) return ProxyProblem{"not two addresses and two ports"};
    int af = family == "TCP4" ? AF_INET : AF_INET6;
    auto source = canonical_address(af, take_word(line));
    auto destination = canonical_address(af, take_word(line));
    if (!source || !destination) return ProxyProblem{"not an address of its family"};
    auto port = port_of(take_word(line));
    if (!port || !port_of(take_word(line))) return ProxyProblem{"not a port"};
    return ProxyHeader{size, *std::move(source), *port};
}

ProxyResult read_v1(std::string_view text) {
    auto start = text.substr(0, kLineStart.size());
    if (!kLineStart.starts_with(start)) return ProxyProblem{"no header"};
    auto stop = std::ranges::find_if_not(text, is_printable);
    auto end = static_cast<std::size_t>(stop - text.begin());
    if (end > kLineSizeMax - 2) return ProxyProblem{"longer than 107 bytes"};
    if (end == text.size()) return ProxyIncomplete{};
    if (text[end] != '\r') return ProxyProblem{"a character that has no place in it"};
    if (end + 1 == text.size()) return ProxyIncomplete{};
    if (text[end + 1] != '\n') return ProxyProblem{"CR without LF"};
    return read_line(text.substr(0, end).substr(kLineStart.size()), end + 2);
}

// --- version 2 ---

enum class Command : std::uint8_t { local = 0x20, proxy = 0x21 };
enum class Family : std::uint8_t {
    unspecified = 0x00,
    tcp4 = 0x11,
    tcp6 = 0x21,
    unix_stream = 0x31
};
enum class Tlv : std::uint8_t { crc32c = 0x03, ssl = 0x20, ssl_common_name = 0x22 };

constexpr std::size_t kCrcSize = 4;

std::uint32_t read_u32(Bytes bytes) noexcept {
    std::uint32_t value = 0;
    for (auto byte : bytes.first(4)) value = value << 8 | static_cast<std::uint32_t>(byte);
    return value;
}

std::uint16_t read_u16(Bytes bytes) noexcept {
    return static_cast<std::uint16_t>(static_cast<unsigned>(bytes[0]) << 8 |
                                      static_cast<unsigned>(bytes[1]));
}

/// Visits each TLV with its type, its value and where that stands; false if they do not fill
/// `bytes` or a visit gives false.
template <class Visit>
bool each_tlv(Bytes bytes, Visit&& visit) {
    while (!bytes.empty()) {
        if (bytes.size() < 3) return false;
        std::size_t size = read_u16(bytes.subspan(1));
        if (bytes.size() - 3 < size) return false;
        if (!visit(static_cast<Tlv>(bytes[0]), bytes.subspan(3, size))) return false;
        bytes = bytes.subspan(3 + size);
    }
    return true;
}

/// The checksum of the whole header, taken with zeros where it stands itself.
bool is_right_crc(Bytes header, Bytes field) noexcept {
    constexpr std::array<std::byte, kCrcSize> kZeros{};
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
    auto offset = static_cast<std::size_t>(field.data() - header.data());
    auto behind = header.subspan(offset + kCrcSize);
    crc.process_bytes(header.data(), offset);
    crc.process_bytes(kZeros.data(), kCrcSize);
    crc.process_bytes(behind.data(), behind.size());
    return crc.checksum() == read_u32(field);
}

/// What the proxy says of the client's TLS: flags, the result of the verification, TLVs.
bool read_ssl(Bytes value, std::string& common_name) {
    constexpr std::size_t kHead = 5;
    // A certificate was shown on this connection, or when its TLS session began.
    constexpr std::byte kHasCertificate{0x02 | 0x04};
    if (value.size() < kHead) return false;
    bool verified = (value[0] & kHasCertificate) != std::byte{} && read_u32(value.subspan(1)) == 0;
    return each_tlv(value.subspan(kHead), [&](Tlv type, Bytes field) {
        if (type != Tlv::ssl_common_name || !verified || !common_name.empty()) return true;
        common_name = as_text(field);
        return mqtt::is_valid_utf8(common_name);
    });
}

std::optional<std::size_t> addresses_size(Family family) noexcept {
    switch (family) {
        case Family::unspecified:
            return 0;
        case Family::tcp4:
            return 12;
        case Family::tcp6:
            return 36;
        case Family::unix_stream:
            return 216;
    }
    return std::nullopt;
}

void read_addresses(Family family, Bytes bytes, ProxyHeader& header) {
    switch (family) {
        case Family::unspecified:
            return;
        case Family::tcp4:
            header.source = address_text(AF_INET, bytes.data());
            header.port = read_u16(bytes.subspan(8));
            return;
        case Family::tcp6:
            header.source = address_text(AF_INET6, bytes.data());
            header.port = read_u16(bytes.subspan(32));
            return;
        case Family::unix_stream: {
            auto path = as_text(bytes.first(108));
            path = path.substr(0, path.find('\0'));
            if (!path.empty() && std::ranges::all_of(path, is_printable))
                header.source = fmt::format("unix:{}", path);
            return;
        }
    }
}

ProxyResult read_block(Bytes block) {
    auto command = static_cast<Command>(block[12]);
    ProxyHeader header{block.size()};
    // The proxy speaks for itself, to see whether we are well: the rest is to be ignored.
    if (command == Command::local) return header;
    if (command != Command::proxy) return ProxyProblem{"unknown version or command"};
    auto family = static_cast<Family>(block[13]);
    auto size = addresses_size(family);
    if (!size) return ProxyProblem{"unknown address family"};
    auto rest = block.subspan(kFixedSize);
    if (rest.size() < *size) return ProxyProblem{"too short for its addresses"};
    read_addresses(family, rest, header);
    bool sound = each_tlv(rest.subspan(*size), [&](Tlv type, Bytes value) {
        if (type == Tlv::crc32c) return value.size() == kCrcSize && is_right_crc(block, value);
        return type != Tlv::ssl || read_ssl(value, header.common_name);
    });
    if (!sound) return ProxyProblem{"a TLV is malformed or the checksum is wrong"};
    return header;
}

ProxyResult read_v2(Bytes bytes, std::size_t size_max) {
    auto start = as_text(bytes.first(std::min(bytes.size(), kSignature.size())));
    if (!kSignature.starts_with(start)) return ProxyProblem{"no header"};
    if (bytes.size() < kFixedSize) return ProxyIncomplete{};
    std::size_t size = kFixedSize + read_u16(bytes.subspan(14));
    if (size > size_max) return ProxyProblem{"longer than proxy_header_size_max"};
    if (bytes.size() < size) return ProxyIncomplete{};
    return read_block(bytes.first(size));
}

}  // namespace

ProxyResult read_proxy_header(Bytes bytes, ProxySettings const& settings) {
    if (bytes.empty()) return ProxyIncomplete{};
    bool is_v2 = bytes[0] == static_cast<std::byte>(kSignature[0]);
    bool allowed = settings.version == ProxyProtocol::any ||
                   settings.version == (is_v2 ? ProxyProtocol::v2 : ProxyProtocol::v1);
    if (!allowed) return ProxyProblem{"no header of the version that is asked for"};
    return is_v2 ? read_v2(bytes, settings.size_max) : read_v1(as_text(bytes));
}

}  // namespace spoke::broker
