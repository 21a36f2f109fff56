#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/base/bytes.hpp"
#include "protocol/codec/decode_error.hpp"
#include "protocol/codec/rules.hpp"
#include "protocol/packet/basics.hpp"
#include "protocol/packet/property_table.hpp"

namespace spoke::mqtt {

/// Reads the fields of one packet from the left. The first error sticks: it empties the reader,
/// every later read gives 0 or nothing, and loops over what is left end. So a decoder reads
/// straight down and asks once at the end.
class Reader {
public:
    /// `frame`: the whole packet, from which offsets count; `body_at`: where the first field behind
    /// the fixed header stands.
    Reader(Bytes frame, std::size_t body_at, Version version, Sender sender) noexcept
        : begin_(frame.data()),
          at_(frame.data() + body_at),
          end_(frame.data() + frame.size()),
          version_(version),
          sender_(sender) {}

    [[nodiscard]] Version version() const noexcept { return version_; }
    [[nodiscard]] Sender sender() const noexcept { return sender_; }
    /// CONNECT alone finds out its version while it is read.
    void set_version(Version version) noexcept { version_ = version; }

    [[nodiscard]] bool at_end() const noexcept { return at_ == end_; }
    [[nodiscard]] std::size_t remaining() const noexcept {
        return static_cast<std::size_t>(end_ - at_);
    }
    [[nodiscard]] std::byte const* position() const noexcept { return at_; }
    [[nodiscard]] bool failed() const noexcept { return error_.has_value(); }
    [[nodiscard]] std::optional<DecodeError> const& error() const noexcept { return error_; }

    /// Records the error unless there is one already. `at`: where the bad field begins.
    void fail(ReasonCode reason, Rule const& broken, std::byte const* at) noexcept;

    [[nodiscard]] std::uint8_t u8() noexcept {
        if (remaining() < 1) return cut();
        return static_cast<std::uint8_t>(*at_++);
    }
    [[nodiscard]] std::uint16_t u16() noexcept {
        if (remaining() < 2) return cut();
        auto high = take();  // the operands of | have no order of their own
        return static_cast<std::uint16_t>(high << 8 | take());
    }
    [[nodiscard]] std::uint32_t u32() noexcept {
        if (remaining() < 4) return cut();
        std::uint32_t high = u16();
        return high << 16 | u16();
    }
    /// In its shortest form, of at most four bytes [MQTT-1.5.5-1].
    [[nodiscard]] std::uint32_t variable_byte_integer() noexcept;
    /// Bytes behind a two-byte length.
    [[nodiscard]] Bytes binary() noexcept;
    /// A string that is well-formed UTF-8 without U+0000.
    [[nodiscard]] std::string_view utf8() noexcept;
    /// Fails unless `text`, which stands at `field`, is such a string.
    void check_utf8(std::string_view text, std::byte const* field) noexcept;
    /// A string that is a valid topic name: topic_name_invalid otherwise.
    [[nodiscard]] std::string_view topic_name() noexcept;
    /// A packet id, which is never 0: protocol_error otherwise.
    [[nodiscard]] PacketId packet_id() noexcept;
    /// A reason code that `sender` may put into a packet of this type: protocol_error otherwise.
    [[nodiscard]] ReasonCode reason_code(PacketType packet) noexcept;
    /// All that is left.
    [[nodiscard]] Bytes rest() noexcept;

    /// Hides what lies behind the next `size` bytes; gives what widen() needs to bring it back.
    /// Fails if fewer bytes are left.
    [[nodiscard]] std::byte const* narrow(std::size_t size, std::byte const* field) noexcept;
    void widen(std::byte const* end) noexcept {
        if (!failed()) end_ = end;
    }

private:
    std::uint32_t take() noexcept { return static_cast<std::uint32_t>(*at_++); }
    /// A field that runs past the end begins here.
    std::uint8_t cut() noexcept;

    std::byte const* begin_;
    std::byte const* at_;
    std::byte const* end_;
    Version version_;
    Sender sender_;
    std::optional<DecodeError> error_{};
};

/// One property as it stands in the packet: a number, or one or two strings.
struct Property {
    PropertyId id{};
    std::uint32_t number = 0;
    Bytes bytes{};             // utf8 and binary; the name of a user property
    std::string_view value{};  // of a user property
};

/// Reads the value of a property and judges nothing but its length.
[[nodiscard]] Property read_value(Reader& reader, PropertyRow const& row) noexcept;

/// Walks a property field: its length first, then property by property, each checked against the
/// table. Errors  unknown or misplaced, or cut: malformed_packet; twice: protocol_error; wrong
/// value: what its row says.
class PropertyReader {
public:
    PropertyReader(Reader& reader, Place place) noexcept;

    /// Reads the next property; false at the end of the field, with the reader behind it, or after
    /// an error.
    [[nodiscard]] bool next(Property& property) noexcept;

private:
    [[nodiscard]] PropertyRow const* next_row() noexcept;
    void check_value(PropertyRow const& row, std::byte const* at,
                     Property const& property) noexcept;

    Reader& reader_;  // outlives this
    Place place_;
    std::uint64_t seen_ = 0;  // one bit per id
    std::byte const* end_of_packet_;
};

}  // namespace spoke::mqtt
