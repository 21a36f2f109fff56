#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/api/event_streams.hpp"
#include "bridge/event/log_reader.hpp"

namespace spoke::bridge {

/// Events as server-sent events: one frame each, the same bytes for every reader. A reader that
/// falls behind is given what it has missed from the log, at its pace.
/// Bound   what the peer has not taken is one piece of the log (kPiece frames); beyond it the log
///         keeps the rest.
class SseStream final : public StreamBody, public EventStream {
public:
    static constexpr std::size_t kPiece = 32;

    /// `ends` as EventStreams::join() takes it.
    SseStream(EventStreams& streams, std::vector<std::string> filters, std::uint64_t after,
              std::optional<WallTime> ends);
    ~SseStream() override;

    void on_open(StreamSink& sink) override;
    void on_room() override;
    void on_stop() override;
    void on_gone() override;

    void keep_alive() override;
    void give_up() override;
    void expire() override;

private:
    void pump();
    [[nodiscard]] SharedBytes reset_frame(std::uint64_t from) const;
    void say_goodbye(std::string_view reason);
    void send(std::span<SharedBytes const> pieces);

    EventStreams& streams_;  // outlives this
    LogReader reader_;
    StreamSink* sink_ = nullptr;  // null: not open, or gone
    bool has_room_ = false;
    bool was_active_ = true;  // since its last turn
};

}  // namespace spoke::bridge
