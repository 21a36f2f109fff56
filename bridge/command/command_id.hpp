#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/bytes.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// Names one command everywhere: "c_" and 26 characters of Crockford's base 32 in JSON and URLs, 16
/// raw bytes as MQTT correlation data. The first 48 bits are the milliseconds of its birth, so that
/// ids sort by age; the other 80 are random.
class CommandId {
public:
    static constexpr std::size_t kSize = 16;

    CommandId() = default;
    explicit CommandId(std::array<std::byte, kSize> raw) noexcept : raw_(raw) {}

    /// Draws its 80 bits from `random`.
    [[nodiscard]] static CommandId make(WallTime now, std::function<std::uint64_t()> const& random);

    /// Reads "c_...", in either case; nullopt if it is no id that `text()` could have written.
    [[nodiscard]] static std::optional<CommandId> parse(std::string_view text);

    [[nodiscard]] std::string text() const;
    [[nodiscard]] Bytes raw() const noexcept { return raw_; }

    friend auto operator<=>(CommandId const&, CommandId const&) = default;

private:
    std::array<std::byte, kSize> raw_{};
};

}  // namespace spoke::bridge

template <>
struct std::hash<spoke::bridge::CommandId> {
    std::size_t operator()(spoke::bridge::CommandId const& id) const noexcept {
        std::size_t tail;  // the random end is hash enough
        std::memcpy(&tail, id.raw().data() + id.raw().size() - sizeof tail, sizeof tail);
        return tail;
    }
};
