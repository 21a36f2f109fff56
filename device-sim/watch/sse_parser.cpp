#include "device-sim/watch/sse_parser.hpp"

#include <charconv>
#include <utility>

namespace spoke::sim {

bool SseParser::feed(std::string_view bytes, Take const& take) {
    for (auto c : bytes) {
        bool is_second_of_pair = std::exchange(is_after_cr_, c == '\r') && c == '\n';
        if (is_second_of_pair) continue;
        if (c == '\n' || c == '\r') {
            take_line(take);
        } else {
            line_ += c;
        }
        if (line_.size() + frame_.data.size() > bytes_max_) return false;
    }
    return true;
}

void SseParser::take_line(Take const& take) {
    auto line = std::exchange(line_, {});
    if (line.empty()) {
        // Not before: a frame that is cut off was not told.
        last_id_ = id_buffer_;
        auto frame = std::exchange(frame_, {});
        if (std::exchange(has_fields_, false)) take(frame);
        return;
    }
    auto colon = line.find(':');
    if (colon == 0) {
        ++comments_;
        return;
    }
    auto name = std::string_view{line}.substr(0, colon);
    auto value =
        colon == std::string::npos ? std::string_view{} : std::string_view{line}.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    take_field(name, value);
}

void SseParser::take_field(std::string_view name, std::string_view value) {
    has_fields_ = true;
    if (name == "event") {
        frame_.event = value;
    } else if (name == "data") {
        if (std::exchange(frame_.has_data, true)) frame_.data += '\n';
        frame_.data += value;
    } else if (name == "id" && value.find('\0') == std::string_view::npos) {
        frame_.has_id = true;
        id_buffer_ = value;
    } else if (name == "retry") {
        std::uint64_t number = 0;
        auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (error == std::errc{} && end == value.data() + value.size()) retry_ms_ = number;
    }
}

}  // namespace spoke::sim
