#include "bridge/store/audit_chain.hpp"

#include <openssl/evp.h>

#include <algorithm>

#include "protocol/base/assert.hpp"

namespace spoke::bridge {
namespace {

template <class Number>
void put_number(Buffer& out, Number value) {
    for (auto shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8) {
        out.push_back(static_cast<std::byte>(value >> shift & 0xFF));
    }
}

void put_text(Buffer& out, std::string_view text) {
    put_number(out, static_cast<std::uint32_t>(text.size()));
    auto bytes = as_bytes(text);
    out.insert(out.end(), bytes.begin(), bytes.end());
}

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

AuditHash const& AuditChain::add(AuditEntry const& entry) {
    ++number_;
    bytes_.assign(hash_.begin(), hash_.end());
    put_number(bytes_, number_);
    put_number(bytes_, static_cast<std::uint64_t>(entry.at.time_since_epoch().count()));
    for (auto const* text : {&entry.who, &entry.address, &entry.what, &entry.device, &entry.subject,
                             &entry.why, &entry.trace, &entry.detail}) {
        put_text(bytes_, *text);
    }
    auto* out = reinterpret_cast<unsigned char*>(hash_.data());
    MQ_ASSERT(EVP_Digest(bytes_.data(), bytes_.size(), out, nullptr, EVP_sha256(), nullptr) == 1);
    return hash_;
}

std::string hex(Bytes bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (auto byte : bytes) {
        out += kDigits[std::to_integer<std::size_t>(byte >> 4)];
        out += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
    }
    return out;
}

std::optional<AuditHash> parse_audit_hash(std::string_view text) {
    AuditHash hash{};
    if (text.size() != hash.size() * 2) return std::nullopt;
    for (std::size_t i = 0; i < hash.size(); ++i) {
        auto high = digit_of(text[2 * i]);
        auto low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        hash[i] = static_cast<std::byte>(high << 4 | low);
    }
    return hash;
}

std::optional<AuditHash> audit_hash_of(Bytes bytes) {
    AuditHash hash{};
    if (bytes.size() != hash.size()) return std::nullopt;
    std::ranges::copy(bytes, hash.begin());
    return hash;
}

}  // namespace spoke::bridge
