#include "broker/storage/format_file.hpp"

#include <fmt/format.h>

#include <charconv>

#include "broker/storage/crc32c.hpp"

namespace spoke::broker {
namespace {

constexpr std::string_view kBegin = "spoke-broker store, format ";

}  // namespace

std::string format_file_text(std::uint64_t version) {
    auto const sealed = fmt::format("{}{}", kBegin, version);
    return fmt::format("{}, checksum {:08x}\n", sealed, crc32c(sealed));
}

std::optional<std::uint64_t> format_version_in(std::string_view text) {
    if (!text.starts_with(kBegin)) return std::nullopt;
    auto const number = text.substr(kBegin.size());
    std::uint64_t version = 0;
    auto const [end, error] =
        std::from_chars(number.data(), number.data() + number.size(), version);
    auto const line = format_file_text(version);
    if (error != std::errc{} || text.substr(0, line.size()) != line) return std::nullopt;
    return version;
}

}  // namespace spoke::broker
