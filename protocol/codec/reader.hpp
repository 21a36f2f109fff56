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
    /// `frame`: the whole packet, from which offsets count.
    Reader(Bytes frame, Version version, Sender sender) noexcept
        : begin_(frame.data()),
          at_(frame.data()),
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
    [[gnu::cold]] void fail(ReasonCode reason, Rule const& broken, std::byte const* at) noexcept;

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
    [[nodiscard]] std::uint32_t variable_byte_integer() noexcept {
        if (!at_end() && *at_ < std::byte{0x80}) return take();
        return long_variable_byte_integer();
    }
    /// Bytes behind a two-byte length.
    [[nodiscard]] Bytes binary() noexcept {
        auto const* field = at_;
        std::size_t size = u16();
        if (remaining() < size) return cut_binary(field);
        Bytes bytes{at_, size};
        at_ += size;
        return bytes;
    }
    /// A string that is well-formed UTF-8 without U+0000.
    [[nodiscard]] std::string_view utf8() noexcept;
    /// Fails unless `text`, which stands at `field`, is such a string.
    void check_utf8(std::string_view text, std::byte const* field) noexcept;
    /// A string that is a valid topic name: topic_name_invalid otherwise.
    [[nodiscard]] std::string_view topic_name() noexcept;
    /// A packet id, which is never 0: protocol_error otherwise.
    [[nodiscard]] PacketId packet_id() noexcept {
        auto const* field = at_;
        PacketId id{u16()};
        if (id == PacketId{}) fail(ReasonCode::protocol_error, rule::kPacketId, field);
        return id;
    }
    /// A reason code that `sender` may put into a packet of this type: protocol_error otherwise.
    [[nodiscard]] ReasonCode reason_code(PacketType packet) noexcept;
    /// All that is left.
    [[nodiscard]] Bytes rest() noexcept {
        Bytes bytes{at_, remaining()};
        at_ = end_;
        return bytes;
    }
    /// Goes on behind the next `size` bytes, which are known to be there.
    void skip(std::size_t size) noexcept { at_ += size; }

    /// Hides what lies behind the next `size` bytes; gives what widen() needs to bring it back.
    /// Fails if fewer bytes are left.
    [[nodiscard]] std::byte const* narrow(std::size_t size, std::byte const* field) noexcept {
        auto const* whole = end_;
        if (remaining() < size) {
            fail(ReasonCode::malformed_packet, rule::kFieldCut, field);
        } else {
            end_ = at_ + size;
        }
        return whole;
    }
    void widen(std::byte const* end) noexcept {
        if (!failed()) end_ = end;
    }

private:
    std::uint32_t take() noexcept { return static_cast<std::uint32_t>(*at_++); }
    std::uint32_t long_variable_byte_integer() noexcept;
    /// A field that runs past the end begins here, or at `field`.
    [[gnu::cold]] std::uint8_t cut() noexcept;
    [[gnu::cold]] Bytes cut_binary(std::byte const* field) noexcept;

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

/// Reads the value of a property into `property` and judges nothing but its length.
inline void read_value(Reader& reader, PropertyRow const& row, Property& property) noexcept {
    property.id = row.id;
    switch (row.wire) {
        case Wire::u8:
            property.number = reader.u8();
            break;
        case Wire::u16:
            property.number = reader.u16();
            break;
        case Wire::u32:
            property.number = reader.u32();
            break;
        case Wire::variable_byte_integer:
            property.number = reader.variable_byte_integer();
            break;
        case Wire::utf8:
        case Wire::binary:
            property.bytes = reader.binary();
            break;
        case Wire::utf8_pair:
            property.bytes = reader.binary();
            property.value = as_text(reader.binary());
            break;
    }
}

/// Walks a property field: its length first, then property by property, each checked against the
/// table. Errors  unknown or misplaced, or cut: malformed_packet; twice: protocol_error; wrong
/// value: what its row says.
class PropertyReader {
public:
    PropertyReader(Reader& reader, Place place) noexcept : reader_(reader), place_(place) {
        auto const* field = reader.position();
        if (reader.at_end()) reader.fail(ReasonCode::malformed_packet, rule::kNoProperties, field);
        auto size = reader.variable_byte_integer();
        end_of_packet_ = reader.narrow(size, field);
    }

    /// Reads the next property; false at the end of the field, with the reader behind it, or after
    /// an error.
    [[nodiscard]] bool next(Property& property) noexcept {
        if (reader_.at_end()) {
            reader_.widen(end_of_packet_);
            return false;
        }
        return read_property(property);
    }

private:
    [[nodiscard]] bool read_property(Property& property) noexcept;
    [[nodiscard]] PropertyRow const* read_row() noexcept;
    void check_value(PropertyRow const& row, std::byte const* at,
                     Property const& property) noexcept;

    Reader& reader_;  // outlives this
    Place place_;
    std::uint64_t seen_ = 0;  // one bit per id
    std::byte const* end_of_packet_ = nullptr;
};

}  // namespace spoke::mqtt
