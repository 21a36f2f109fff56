#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "device-sim/load/histogram.hpp"
#include "device-sim/load/json_line.hpp"
#include "device-sim/load/process_sample.hpp"
#include "protocol/base/time.hpp"

struct epoll_event;

namespace spoke::sim::load {

/// What many HTTP connections have in common.
struct CrowdSettings {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
    std::string target = "/";
    std::vector<std::string> headers{};  // "Accept: text/event-stream"
    std::uint32_t connections = 100;
    std::vector<int> pids{};  // the first one's memory is told, the processor time of all
    int cpu = -1;             // -1: not pinned
};

/// streams: holds many streams of one server, then has an event published now and then and waits
/// until the last stream has it.
struct StreamSettings {
    CrowdSettings crowd{};
    double settle_seconds = 1;
    std::uint32_t events = 0;
    std::string post_target{};  // where one is published, at the same server
};

/// polls: asks again and again over connections that are kept, each one request at a time.
struct PollSettings {
    CrowdSettings crowd{};
    unsigned status = 304;  // what each answer must be; it has no body
    double warmup_seconds = 0.5;
    double seconds = 3;
};

struct CrowdOutcome {
    JsonLine report;
    bool is_sound = true;
};

/// Errors  throws LoadFailure if the server is not there, a process cannot be sampled or nothing
///         moves for 30 s.
[[nodiscard]] CrowdOutcome run_streams(StreamSettings const& settings);
[[nodiscard]] CrowdOutcome run_polls(PollSettings const& settings);

/// Counts how often a marker came in a stream of bytes that is cut anyhow. The marker's first byte
/// stands in it once.
class MarkerCount {
public:
    static constexpr std::string_view kMarker = "~bench";

    /// How often it has become whole in these bytes.
    std::uint32_t feed(std::string_view bytes) noexcept;

private:
    std::uint8_t matched_ = 0;
};

/// Finds the end of a response's head, and its status.
class HeadReader {
public:
    /// How many of the bytes belong to the head; the rest is body.
    std::size_t feed(std::string_view bytes) noexcept;

    [[nodiscard]] bool is_whole() const noexcept { return is_whole_; }
    [[nodiscard]] unsigned status() const noexcept { return status_; }
    void begin_anew() noexcept { *this = HeadReader{}; }

private:
    std::uint16_t status_ = 0;
    std::uint8_t place_ = 0;      // in the status line, up to its status
    std::uint8_t line_ends_ = 0;  // matched of "\r\n\r\n"
    bool is_whole_ = false;
};

}  // namespace spoke::sim::load
