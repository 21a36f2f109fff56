#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/store/audit_entry.hpp"
#include "protocol/base/bytes.hpp"

namespace spoke::bridge {

/// SHA-256 of a line of the trail and, through the hash before it, of all lines before. That of the
/// line before the first is all zeros.
using AuditHash = std::array<std::byte, 32>;

/// Computes the hashes of lines, one after the other. The bytes of a line are described in
/// SCHEMA.md.
class AuditChain {
public:
    /// Goes on behind the line `number` with that hash.
    explicit AuditChain(std::uint64_t number = 0, AuditHash hash = {})
        : number_(number), hash_(hash) {}

    /// The hash of the next line, if it says this.
    AuditHash const& add(AuditEntry const& entry);

    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
    [[nodiscard]] AuditHash const& hash() const noexcept { return hash_; }
    friend bool operator==(AuditChain const& a, AuditChain const& b) {
        return a.number_ == b.number_ && a.hash_ == b.hash_;
    }

private:
    std::uint64_t number_;
    AuditHash hash_;
    Buffer bytes_{};  // of the line, kept for its memory
};

[[nodiscard]] std::string hex(Bytes bytes);

/// nullopt unless it is 64 hexadecimal digits.
[[nodiscard]] std::optional<AuditHash> parse_audit_hash(std::string_view text);

/// nullopt unless they are 32 bytes.
[[nodiscard]] std::optional<AuditHash> audit_hash_of(Bytes bytes);

}  // namespace spoke::bridge
