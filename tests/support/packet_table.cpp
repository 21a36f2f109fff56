#include "tests/support/packet_table.hpp"

#include <stdexcept>

#include "protocol/codec/encode.hpp"
#include "protocol/codec/framing.hpp"
#include "tests/support/packet_rows.hpp"

namespace spoke::test {
namespace {

class TextReader {
public:
    explicit TextReader(std::string_view text) : text_(text) {}

    /// Reads up to the end of the text, or of the group it stands in.
    Buffer read(bool in_group) {
        Buffer out;
        for (skip_blanks(); !text_.empty(); skip_blanks()) {
            if (text_.front() == ')') {
                if (!in_group) throw std::logic_error{"packet text: ')' without '('"};
                text_.remove_prefix(1);
                return out;
            }
            read_item(out);
        }
        if (in_group) throw std::logic_error{"packet text: '(' without ')'"};
        return out;
    }

private:
    void read_item(Buffer& out) {
        if (text_.front() == '(') {
            text_.remove_prefix(1);
            append_sized(read(true), out);
        } else if (text_.front() == '\'') {
            append(read_quoted(), out);
        } else if (text_.starts_with("s'")) {
            text_.remove_prefix(1);
            auto string = read_quoted();
            out.push_back(static_cast<std::byte>(string.size() >> 8));
            out.push_back(static_cast<std::byte>(string.size()));
            append(string, out);
        } else {
            out.push_back(static_cast<std::byte>(read_digit() << 4 | read_digit()));
        }
    }

    void skip_blanks() {
        while (!text_.empty()) {
            if (text_.front() == '#') {
                text_.remove_prefix(std::min(text_.find('\n'), text_.size()));
            } else if (text_.front() == ' ' || text_.front() == '\n') {
                text_.remove_prefix(1);
            } else {
                return;
            }
        }
    }

    std::string_view read_quoted() {
        auto end = text_.find('\'', 1);
        if (end == std::string_view::npos) throw std::logic_error{"packet text: open quote"};
        auto quoted = text_.substr(1, end - 1);
        text_.remove_prefix(end + 1);
        return quoted;
    }

    unsigned read_digit() {
        constexpr std::string_view kDigits = "0123456789ABCDEF";
        auto digit = text_.empty() ? std::string_view::npos : kDigits.find(text_.front());
        if (digit == std::string_view::npos) {
            throw std::logic_error{"packet text: no hex digit: " +
                                   std::string{text_.substr(0, 20)}};
        }
        text_.remove_prefix(1);
        return static_cast<unsigned>(digit);
    }

    static void append(std::string_view text, Buffer& out) {
        auto bytes = as_bytes(text);
        out.insert(out.end(), bytes.begin(), bytes.end());
    }

    static void append_sized(Buffer const& body, Buffer& out) {
        std::byte size[4];
        auto* end =
            mqtt::write_variable_byte_integer(static_cast<std::uint32_t>(body.size()), size);
        out.insert(out.end(), size, end);
        out.insert(out.end(), body.begin(), body.end());
    }

    std::string_view text_;
};

std::vector<PacketRow> all_rows() {
    std::vector<PacketRow> rows;
    for (auto part : {connect_rows(), connack_rows(), publish_rows(), acknowledgement_rows(),
                      subscribe_rows(), unsubscribe_rows(), closing_rows(), framing_rows()}) {
        rows.insert(rows.end(), std::make_move_iterator(part.begin()),
                    std::make_move_iterator(part.end()));
    }
    return rows;
}

}  // namespace

Buffer bytes_of(std::string_view text) {
    return TextReader{text}.read(false);
}

std::vector<PacketRow> const& packet_table() {
    static auto const rows = all_rows();
    return rows;
}

PacketRow const& packet_row(std::string_view name) {
    for (auto const& row : packet_table()) {
        if (row.name == name) return row;
    }
    throw std::logic_error{"no packet row named " + std::string{name}};
}

Buffer frame_of(std::uint8_t first, Bytes body) {
    Buffer frame(5 + body.size());
    frame[0] = std::byte{first};
    auto* at =
        mqtt::write_variable_byte_integer(static_cast<std::uint32_t>(body.size()), &frame[1]);
    at = std::copy(body.begin(), body.end(), at);
    frame.resize(static_cast<std::size_t>(at - frame.data()));
    return frame;
}

Bytes body_of(Bytes frame) {
    auto header = mqtt::read_fixed_header(frame, 0xFFFF'FFFF);
    return frame.subspan(header.value().value().header_size);
}

}  // namespace spoke::test
