#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace spoke::sim {

/// What a stream of server-sent events says at one empty line.
struct SseFrame {
    std::string event{};  // empty: "message"
    std::string data{};   // lines joined by '\n'
    bool has_data = false;
    bool has_id = false;
};

/// Reads text/event-stream by the rules of the HTML standard: lines end with \n, \r\n or \r; a
/// frame without data is dispatched to nobody, but its id counts.
/// Bound   a line or frame beyond `bytes_max` ends the stream.
class SseParser {
public:
    using Take = std::function<void(SseFrame const& frame)>;

    explicit SseParser(std::size_t bytes_max = std::size_t{1} << 20) : bytes_max_(bytes_max) {}

    /// Calls `take` at each empty line behind something. It may destroy nothing of this.
    /// Errors  false if something is too long.
    [[nodiscard]] bool feed(std::string_view bytes, Take const& take);

    /// The id of the last whole frame that had one; empty: none.
    [[nodiscard]] std::string const& last_id() const noexcept { return last_id_; }

    /// The last `retry`, in ms; 0: none.
    [[nodiscard]] std::uint64_t retry_ms() const noexcept { return retry_ms_; }

    /// Lines that were comments, as heartbeats are.
    [[nodiscard]] std::uint64_t comments() const noexcept { return comments_; }

private:
    void take_line(Take const& take);
    void take_field(std::string_view name, std::string_view value);

    std::size_t bytes_max_;
    std::string line_{};
    SseFrame frame_{};
    std::string id_buffer_{};
    std::string last_id_{};
    std::uint64_t retry_ms_ = 0;
    std::uint64_t comments_ = 0;
    bool is_after_cr_ = false;
    bool has_fields_ = false;
};

}  // namespace spoke::sim
