#include "bridge/hook/hook_url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace spoke::bridge {
namespace {

constexpr std::size_t kUrlBytesMax = 2048;
constexpr std::size_t kHostBytesMax = 253;
constexpr std::uint16_t kHttp = 80;
constexpr std::uint16_t kHttps = 443;

bool is_printable(char c) {
    return c > 0x20 && c < 0x7F;
}

bool is_host_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

bool is_ipv6_character(char c) {
    return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == '.' ||
           c == ':';
}

bool read_port(std::string_view text, std::uint16_t& out) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size() && out != 0;
}

/// "host", "host:port", "[::1]:port".
bool read_authority(std::string_view text, HookUrl& url) {
    auto is_ipv6 = text.starts_with('[');
    auto end = is_ipv6 ? text.find(']') : text.find(':');
    if (is_ipv6 && end == std::string_view::npos) return false;
    url.host = is_ipv6 ? text.substr(1, end - 1) : text.substr(0, end);
    auto rest = end == std::string_view::npos ? std::string_view{} : text.substr(end);
    if (is_ipv6) rest.remove_prefix(1);
    auto is_fine = std::ranges::all_of(url.host, is_ipv6 ? is_ipv6_character : is_host_character);
    if (url.host.empty() || url.host.size() > kHostBytesMax || !is_fine) return false;
    return rest.empty() || (rest[0] == ':' && read_port(rest.substr(1), url.port));
}

struct Network {
    std::array<std::uint8_t, 4> address;
    unsigned bits;
};

/// RFC 6890 and what came after it: none of them can be reached over the public network.
constexpr std::array kNetworks{
    Network{{0, 0, 0, 0}, 8},      Network{{10, 0, 0, 0}, 8},     Network{{100, 64, 0, 0}, 10},
    Network{{127, 0, 0, 0}, 8},    Network{{169, 254, 0, 0}, 16}, Network{{172, 16, 0, 0}, 12},
    Network{{192, 0, 0, 0}, 24},   Network{{192, 0, 2, 0}, 24},   Network{{192, 88, 99, 0}, 24},
    Network{{192, 168, 0, 0}, 16}, Network{{198, 18, 0, 0}, 15},  Network{{198, 51, 100, 0}, 24},
    Network{{203, 0, 113, 0}, 24}, Network{{224, 0, 0, 0}, 3},
};

std::uint32_t number_of(std::span<std::uint8_t const> bytes) {
    return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 |
           std::uint32_t{bytes[2]} << 8 | bytes[3];
}

bool is_public_v4(std::span<std::uint8_t const> bytes) {
    auto address = number_of(bytes);
    return std::ranges::none_of(kNetworks, [address](Network const& network) {
        return (address ^ number_of(network.address)) >> (32 - network.bits) == 0;
    });
}

bool begins(std::span<std::uint8_t const> bytes, std::initializer_list<std::uint8_t> prefix) {
    return std::equal(prefix.begin(), prefix.end(), bytes.begin());
}

bool is_public_v6(std::span<std::uint8_t const> bytes) {
    constexpr std::size_t kV4At = 12;
    constexpr std::size_t k6to4At = 2;
    // Translated (RFC 6052) and 6to4 (RFC 3056): the address of IPv4 in them counts.
    if (begins(bytes, {0x00, 0x64, 0xFF, 0x9B, 0, 0, 0, 0, 0, 0, 0, 0})) {
        return is_public_v4(bytes.subspan(kV4At));
    }
    if (begins(bytes, {0x20, 0x02})) return is_public_v4(bytes.subspan(k6to4At, 4));
    if (begins(bytes, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF})) {
        return is_public_v4(bytes.subspan(kV4At));
    }
    // 2000::/3 is what was given out; of it not Teredo, ORCHID, benchmarking, documentation.
    if ((bytes[0] & 0xE0) != 0x20) return false;
    if (begins(bytes, {0x20, 0x01}) && bytes[2] < 0x02) return false;
    return !begins(bytes, {0x20, 0x01, 0x0D, 0xB8}) && !begins(bytes, {0x3F, 0xFF});
}

}  // namespace

std::string HookUrl::authority() const {
    auto name = host.find(':') == std::string::npos ? host : fmt::format("[{}]", host);
    return port == (is_tls ? kHttps : kHttp) ? name : fmt::format("{}:{}", name, port);
}

std::optional<HookUrl> parse_hook_url(std::string_view text) {
    constexpr std::string_view kHttpScheme = "http://";
    constexpr std::string_view kHttpsScheme = "https://";
    if (text.size() > kUrlBytesMax || !std::ranges::all_of(text, is_printable)) return std::nullopt;
    HookUrl url;
    url.is_tls = text.starts_with(kHttpsScheme);
    if (!url.is_tls && !text.starts_with(kHttpScheme)) return std::nullopt;
    url.port = url.is_tls ? kHttps : kHttp;
    text.remove_prefix(url.is_tls ? kHttpsScheme.size() : kHttpScheme.size());
    auto end = text.find_first_of("/?#");
    if (!read_authority(text.substr(0, end), url)) return std::nullopt;
    if (end == std::string_view::npos) return url;
    auto target = text.substr(end);
    if (target.find('#') != std::string_view::npos) return std::nullopt;
    url.target = target.starts_with('/') ? std::string{target} : "/" + std::string{target};
    return url;
}

bool is_public_address(std::span<std::uint8_t const> bytes) noexcept {
    constexpr std::size_t kV4Bytes = 4;
    constexpr std::size_t kV6Bytes = 16;
    if (bytes.size() == kV4Bytes) return is_public_v4(bytes);
    return bytes.size() == kV6Bytes && is_public_v6(bytes);
}

}  // namespace spoke::bridge
