#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace spoke::broker {

[[nodiscard]] constexpr bool is_blank(char character) noexcept {
    return character == ' ' || character == '\t';
}

[[nodiscard]] constexpr std::string_view without_leading_blanks(std::string_view text) noexcept {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    return text;
}

[[nodiscard]] constexpr std::string_view without_trailing_blanks(std::string_view text) noexcept {
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

/// Walks the lines of a text that say something: those which are blank or begin with '#' are passed
/// over. Lines end with "\n" or "\r\n".
class TextLines {
public:
    explicit constexpr TextLines(std::string_view text) noexcept : rest_(text) {}

    /// The next line, blanks and all, without its end.
    [[nodiscard]] constexpr std::optional<std::string_view> next() noexcept {
        while (!rest_.empty()) {
            auto end = rest_.find('\n');
            auto line = rest_.substr(0, end);
            rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
            ++number_;
            if (line.ends_with('\r')) line.remove_suffix(1);
            auto content = without_leading_blanks(line);
            if (!content.empty() && !content.starts_with('#')) return line;
        }
        return std::nullopt;
    }

    /// Of the line that next() returned last, counted from 1.
    [[nodiscard]] constexpr std::size_t number() const noexcept { return number_; }

private:
    std::string_view rest_;
    std::size_t number_ = 0;
};

}  // namespace spoke::broker
