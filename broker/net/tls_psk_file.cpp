#include "broker/net/tls_psk_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "protocol/topic/utf8.hpp"

namespace spoke::broker {

namespace {

constexpr std::size_t kIdentityMax = 128;  // what OpenSSL hands on
constexpr std::size_t kKeyMax = 256;

int digit_of(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// Gives an empty key for what is none.
Buffer key_of(std::string_view hex) {
    if (hex.size() % 2 != 0 || hex.size() / 2 > kKeyMax) return {};
    Buffer key;
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        int high = digit_of(hex[i]);
        int low = digit_of(hex[i + 1]);
        if (high < 0 || low < 0) return {};
        key.push_back(static_cast<std::byte>(high << 4 | low));
    }
    return key;
}

}  // namespace

PskTable parse_psk_file(std::string_view text, std::string const& path) {
    PskTable table;
    for (std::size_t number = 1; !text.empty(); ++number) {
        auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.starts_with('#')) continue;
        auto fail = [&](char const* what) {
            throw std::runtime_error(fmt::format("{}:{}: {}", path, number, what));
        };
        auto colon = line.rfind(':');
        if (colon == std::string_view::npos) fail("no ':' between identity and key");
        auto identity = line.substr(0, colon);
        if (identity.empty() || identity.size() > kIdentityMax) {
            fail("the identity is empty or longer than 128 bytes");
        }
        if (identity.find('\0') != std::string_view::npos || !mqtt::is_valid_utf8(identity)) {
            fail("the identity is not UTF-8 text");
        }
        auto key = key_of(line.substr(colon + 1));
        if (key.empty()) fail("the key is not 1 to 256 bytes in hexadecimal");
        if (!table.emplace(identity, std::move(key)).second) fail("the identity stands twice");
    }
    return table;
}

PskTable read_psk_file(std::string const& path) {
    std::ifstream file{path, std::ios::binary};
    if (!file) {
        throw std::runtime_error(
            fmt::format("cannot read the PSK file {}: {}", path, std::strerror(errno)));
    }
    std::string text{std::istreambuf_iterator<char>{file}, {}};
    if (file.bad()) throw std::runtime_error(fmt::format("cannot read the PSK file {}", path));
    return parse_psk_file(text, path);
}

}  // namespace spoke::broker
