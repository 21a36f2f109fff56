#include "broker/storage/record_check.hpp"

#include <cstddef>
#include <cstdint>

#include "broker/storage/crc32c.hpp"
#include "broker/storage/records.hpp"

namespace spoke::broker {
namespace {

constexpr std::size_t kChecksumSize = 4;
constexpr std::size_t kSessionKeySize = 6;

}  // namespace

bool has_right_checksum(std::string_view key, std::string_view value) noexcept {
    if (value.size() < kChecksumSize) return false;
    auto const fields = value.substr(0, value.size() - kChecksumSize);
    std::uint32_t told = 0;
    for (char byte : value.substr(fields.size()))
        told = told << 8 | static_cast<unsigned char>(byte);
    return told == crc32c(fields, crc32c(key));
}

bool is_key(std::string_view key) noexcept {
    auto const family = family_of(key);
    if (!family) return false;
    switch (*family) {
        case RecordFamily::message:
        case RecordFamily::delivery:
            return key.size() == kSessionKeySize + 8;
        case RecordFamily::inbound:
            return key.size() == kSessionKeySize + 2;
        case RecordFamily::meta:
            return key.size() == 2;
        case RecordFamily::retained:
            return key.size() > 1;
        case RecordFamily::session:
            return key.size() == kSessionKeySize;
        case RecordFamily::subscription:
            return key.size() > kSessionKeySize;
    }
    return false;
}

std::optional<SessionNumber> session_in_key(std::string_view key) noexcept {
    auto const family = family_of(key);
    if (!is_key(key) || family == RecordFamily::meta || family == RecordFamily::retained)
        return std::nullopt;
    std::uint64_t number = 0;
    for (char byte : key.substr(1, kSessionKeySize - 1))
        number = number << 8 | static_cast<unsigned char>(byte);
    return SessionNumber{number};
}

}  // namespace spoke::broker
