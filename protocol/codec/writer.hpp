#pragma once

#include <cstring>
#include <string_view>
#include <vector>

#include "protocol/base/assert.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/property_fields.hpp"

namespace spoke::mqtt {

/// Longest string or binary field (1.5.4, 1.5.6).
inline constexpr std::size_t kFieldSizeMax = 65'535;

/// Counts what a Writer would write. Bodies are written twice, into a Sizer and then into a Writer,
/// so that lengths are known before the bytes behind them and every packet is allocated once.
class Sizer {
public:
    void u8(std::uint8_t) noexcept { size_ += 1; }
    void u16(std::uint16_t) noexcept { size_ += 2; }
    void u32(std::uint32_t) noexcept { size_ += 4; }
    void variable_byte_integer(std::uint32_t value) noexcept {
        MQ_ASSERT(value <= kVariableByteIntegerMax);
        size_ += variable_byte_integer_size(value);
    }
    void binary(Bytes bytes) noexcept {
        MQ_ASSERT(bytes.size() <= kFieldSizeMax);
        size_ += 2 + bytes.size();
    }
    void utf8(std::string_view text) noexcept { binary(as_bytes(text)); }
    void raw(Bytes bytes) noexcept { size_ += bytes.size(); }

    /// What was counted, as a length that a packet can hold.
    [[nodiscard]] std::uint32_t size() const noexcept {
        MQ_ASSERT(size_ <= kVariableByteIntegerMax);
        return static_cast<std::uint32_t>(size_);
    }

private:
    std::size_t size_ = 0;
};

/// Writes fields one behind the other to memory which is large enough because a Sizer measured it.
class Writer {
public:
    explicit Writer(std::byte* at) noexcept : at_(at) {}

    void u8(std::uint8_t value) noexcept { *at_++ = std::byte{value}; }
    void u16(std::uint16_t value) noexcept {
        u8(static_cast<std::uint8_t>(value >> 8));
        u8(static_cast<std::uint8_t>(value));
    }
    void u32(std::uint32_t value) noexcept {
        u16(static_cast<std::uint16_t>(value >> 16));
        u16(static_cast<std::uint16_t>(value));
    }
    void variable_byte_integer(std::uint32_t value) noexcept {
        at_ = write_variable_byte_integer(value, at_);
    }
    void binary(Bytes bytes) noexcept {
        u16(static_cast<std::uint16_t>(bytes.size()));
        raw(bytes);
    }
    void utf8(std::string_view text) noexcept { binary(as_bytes(text)); }
    void raw(Bytes bytes) noexcept {
        if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
        at_ += bytes.size();
    }
    [[nodiscard]] std::byte* position() const noexcept { return at_; }

private:
    std::byte* at_;
};

/// Writes one property in the form that the property table gives for it; a member without value
/// writes nothing.
template <class Out>
class PropertyWriter {
public:
    explicit PropertyWriter(Out& out) noexcept : out_(out) {}

    void operator()(PropertyId id, UserProperties const& properties) const {
        for (auto const& property : properties) {
            out_.u8(static_cast<std::uint8_t>(id));
            out_.utf8(property.name);
            out_.utf8(property.value);
        }
    }
    void operator()(PropertyId id, std::vector<std::uint32_t> const& numbers) const {
        for (auto number : numbers) write_number(id, number);
    }
    void operator()(PropertyId id, std::optional<std::string> const& text) const {
        if (!text) return;
        out_.u8(static_cast<std::uint8_t>(id));
        out_.utf8(*text);
    }
    void operator()(PropertyId id, std::optional<Buffer> const& bytes) const {
        if (!bytes) return;
        out_.u8(static_cast<std::uint8_t>(id));
        out_.binary(*bytes);
    }
    template <class Number>
    void operator()(PropertyId id, std::optional<Number> const& number) const {
        if (number) write_number(id, static_cast<std::uint32_t>(*number));
    }

private:
    void write_number(PropertyId id, std::uint32_t number) const {
        auto const& row = property_row(id);
        MQ_ASSERT(row.values != Values::zero_or_one || number <= 1);
        MQ_ASSERT(row.values != Values::not_zero || number != 0);
        out_.u8(static_cast<std::uint8_t>(id));
        switch (row.wire) {
            case Wire::u8:
                return out_.u8(static_cast<std::uint8_t>(number));
            case Wire::u16:
                return out_.u16(static_cast<std::uint16_t>(number));
            case Wire::u32:
                return out_.u32(number);
            case Wire::variable_byte_integer:
                return out_.variable_byte_integer(number);
            case Wire::utf8:
            case Wire::utf8_pair:
            case Wire::binary:
                break;
        }
        assertion_failed("the table says that this property is no number", __FILE__, __LINE__);
    }

    Out& out_;  // outlives this
};

/// Bytes of the properties without the length before them.
[[nodiscard]] std::uint32_t properties_size(auto const& packet) {
    Sizer sizer;
    for_each_property(packet, PropertyWriter{sizer});
    return sizer.size();
}

/// Writes a property field: its length, which is 0 where there are none [MQTT-2.2.2-1], and the
/// properties.
void write_properties(auto& out, auto const& packet) {
    out.variable_byte_integer(properties_size(packet));
    for_each_property(packet, PropertyWriter{out});
}

/// Appends a packet: fixed header and what `write_body(out)` writes into a Sizer and a Writer.
template <class WriteBody>
void append_packet(std::uint8_t first, Buffer& buffer, WriteBody const& write_body) {
    Sizer sizer;
    write_body(sizer);
    auto size = sizer.size();
    auto start = buffer.size();
    buffer.resize(start + 1 + variable_byte_integer_size(size) + size);
    Writer writer{buffer.data() + start};
    writer.u8(first);
    writer.variable_byte_integer(size);
    write_body(writer);
    MQ_ASSERT(writer.position() == buffer.data() + buffer.size());
}

/// The first byte of a packet (2.1.2, 2.1.3).
[[nodiscard]] constexpr std::uint8_t first_byte(PacketType type, std::uint8_t flags = 0) noexcept {
    return static_cast<std::uint8_t>(static_cast<unsigned>(type) << 4 | flags);
}

/// What PUBREL, SUBSCRIBE and UNSUBSCRIBE have as flags.
inline constexpr std::uint8_t kRequestFlags = 0b0010;

void write_packet_id(auto& out, PacketId id) {
    MQ_ASSERT(id != PacketId{});
    out.u16(id.value);
}

void write_reason(auto& out, ReasonCode reason) {
    out.u8(static_cast<std::uint8_t>(reason));
}

}  // namespace spoke::mqtt
