#include "bridge/access/api_key.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace spoke::bridge {
namespace {

using namespace std::chrono;

bool is_name(std::string_view text) {
    auto is_fine = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '.';
    };
    return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, is_fine);
}

std::vector<std::string_view> words_of(std::string_view line) {
    constexpr std::string_view kBlanks = " \t\r";
    std::vector<std::string_view> out;
    for (;;) {
        auto begin = line.find_first_not_of(kBlanks);
        if (begin == std::string_view::npos) return out;
        line.remove_prefix(begin);
        auto end = std::min(line.find_first_of(kBlanks), line.size());
        out.push_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

std::optional<int> number(std::string_view text) {
    int out = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || end != text.data() + text.size() || out < 0) return std::nullopt;
    return out;
}

/// 2027-01-31, or with T12:00:00Z behind it.
std::optional<WallTime> parse_time(std::string_view text) {
    constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
    if (text.size() != 10 && text.size() != kForm.size()) return std::nullopt;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto is_digit = text[i] >= '0' && text[i] <= '9';
        if (kForm[i] == '0' ? !is_digit : text[i] != kForm[i]) return std::nullopt;
    }
    auto at = [&](std::size_t begin, std::size_t size) {
        return *number(text.substr(begin, size));
    };
    year_month_day date{year{at(0, 4)}, month{static_cast<unsigned>(at(5, 2))},
                        day{static_cast<unsigned>(at(8, 2))}};
    if (!date.ok()) return std::nullopt;
    WallTime out{sys_days{date}};
    if (text.size() == 10) return out;
    if (at(11, 2) > 23 || at(14, 2) > 59 || at(17, 2) > 59) return std::nullopt;
    return out + hours{at(11, 2)} + minutes{at(14, 2)} + seconds{at(17, 2)};
}

ApiKey parse_line(std::vector<std::string_view> const& words) {
    if (words.size() < 4) throw std::invalid_argument{"it needs NAME HASH END SCOPE..."};
    ApiKey key;
    key.name = words[0];
    if (!is_name(key.name)) {
        throw std::invalid_argument{"the name must be 1 to 64 letters, digits and _-."};
    }
    auto hash = sha256_from_hex(words[1]);
    if (!hash) throw std::invalid_argument{"the hash is not a SHA-256 in hex (64 digits)"};
    key.hash = *hash;
    if (words[2] != "never") {
        key.ends = parse_time(words[2]);
        if (!key.ends) throw std::invalid_argument{"the end is neither never nor a time"};
    }
    for (std::size_t i = 3; i < words.size(); ++i) {
        if (add_scope(words[i], key.scopes)) continue;
        throw std::invalid_argument{
            fmt::format("there is no scope {:?}; there are {}", words[i], scope_forms())};
    }
    return key;
}

}  // namespace

std::vector<ApiKey> parse_api_keys(std::string_view text) {
    std::vector<ApiKey> out;
    for (std::size_t line_number = 1; !text.empty(); ++line_number) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        auto words = words_of(line);
        if (words.empty() || words[0].starts_with('#')) continue;
        try {
            out.push_back(parse_line(words));
        } catch (std::invalid_argument const& error) {
            throw std::invalid_argument{fmt::format("line {}: {}", line_number, error.what())};
        }
        auto is_same = [&](auto const& key) { return key.name == out.back().name; };
        if (std::count_if(out.begin(), out.end(), is_same) > 1) {
            throw std::invalid_argument{
                fmt::format("line {}: the name {} is there twice", line_number, out.back().name)};
        }
    }
    return out;
}

std::string api_key_line(std::string_view name, std::string_view key, std::optional<WallTime> ends,
                         std::vector<std::string> const& scopes) {
    std::string end = "never";
    if (ends) {
        auto day = floor<days>(*ends);
        year_month_day date{day};
        hh_mm_ss clock{floor<seconds>(*ends - day)};
        end = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                          static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                          clock.hours().count(), clock.minutes().count(), clock.seconds().count());
    }
    return fmt::format("{} {} {} {}", name, lower_hex(sha256(key)), end, fmt::join(scopes, " "));
}

std::string make_api_key(Sha256 const& random) {
    return std::string{kApiKeyPrefix} + base64url(bytes_of(random));
}

}  // namespace spoke::bridge
