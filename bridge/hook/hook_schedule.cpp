#include "bridge/hook/hook_schedule.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace spoke::bridge {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr std::array<milliseconds, 6> kDelays{5s, 5min, 30min, 2h, 5h, 10h};

bool read_number(std::string_view text, int& out) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size() && out >= 0;
}

/// "Sun, 06 Nov 1994 08:49:37 GMT".
std::optional<WallTime> parse_http_date(std::string_view text) {
    constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    constexpr std::size_t kBytes = 29;
    if (text.size() != kBytes || !text.ends_with(" GMT")) return std::nullopt;
    auto month = kMonths.find(text.substr(8, 3));
    int day = 0;
    int year = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    auto is_read = read_number(text.substr(5, 2), day) && read_number(text.substr(12, 4), year) &&
                   read_number(text.substr(17, 2), hour) &&
                   read_number(text.substr(20, 2), minute) &&
                   read_number(text.substr(23, 2), second);
    if (!is_read || month == std::string_view::npos || month % 3 != 0) return std::nullopt;
    std::chrono::year_month_day date{std::chrono::year{year},
                                     std::chrono::month{static_cast<unsigned>(month / 3 + 1)},
                                     std::chrono::day{static_cast<unsigned>(day)}};
    if (!date.ok()) return std::nullopt;
    return WallTime{std::chrono::sys_days{date}} + std::chrono::hours{hour} +
           std::chrono::minutes{minute} + std::chrono::seconds{second};
}

}  // namespace

std::optional<milliseconds> hook_retry_delay(std::uint32_t attempts, std::uint64_t random) {
    constexpr std::int64_t kJitterShare = 5;
    if (attempts == 0) return 0ms;
    if (attempts > kDelays.size()) return std::nullopt;
    auto delay = kDelays.at(attempts - 1);
    auto spread = static_cast<std::uint64_t>(delay.count() / kJitterShare) + 1;
    return delay + milliseconds{static_cast<std::int64_t>(random % spread)};
}

std::optional<WallTime> parse_retry_after(std::string_view text, WallTime now) {
    constexpr std::chrono::seconds kMost = 24h;
    int seconds = 0;
    if (read_number(text, seconds)) return now + std::min(std::chrono::seconds{seconds}, kMost);
    auto date = parse_http_date(text);
    if (!date) return std::nullopt;
    return std::min(*date, now + kMost);
}

}  // namespace spoke::bridge
