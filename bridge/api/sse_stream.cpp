#include "bridge/api/sse_stream.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace spoke::bridge {

SseStream::SseStream(EventStreams& streams, std::vector<std::string> filters, std::uint64_t after,
                     std::optional<WallTime> ends)
    : streams_(streams), reader_(streams.log(), std::move(filters), after, [this] {
          if (sink_ != nullptr && has_room_) sink_->call_soon();
      }) {
    streams_.join(*this, ends);
}

SseStream::~SseStream() {
    streams_.leave(*this);
}

void SseStream::on_open(StreamSink& sink) {
    sink_ = &sink;
    has_room_ = true;
    pump();
}

void SseStream::on_room() {
    if (sink_ == nullptr) return;
    if (!std::exchange(has_room_, true)) streams_.unblock(*this);
    pump();
}

void SseStream::pump() {
    constexpr int kPiecesMax = 8;  // then others have their turn
    for (int i = 0; i < kPiecesMax && has_room_; ++i) {
        auto taken = reader_.take(kPiece);
        std::array<SharedBytes, kPiece + 1> frames;
        std::size_t count = 0;
        if (taken.has_lost) frames.at(count++) = reset_frame(taken.begin(reader_));
        for (auto const& event : taken.events) frames.at(count++) = event->sse_frame();
        if (count > 0) send({frames.data(), count});
        if (taken.is_end || taken.is_stuck) return;
    }
    if (has_room_) sink_->call_soon();
}

/// With its id whoever comes back before the next event comes back to this place.
SharedBytes SseStream::reset_frame(std::uint64_t from) const {
    Cursor cursor{streams_.log().epoch(), from};
    return std::make_shared<std::string const>(
        fmt::format("id: {}\nevent: reset\ndata: {{{}}}\n\n", cursor.text(),
                    reset_members(CursorProblem::too_old, cursor, reader_.filters().front())));
}

void SseStream::send(std::span<SharedBytes const> pieces) {
    was_active_ = true;
    has_room_ = sink_->send(pieces);
    if (!has_room_) streams_.block(*this);
}

void SseStream::on_stop() {
    say_goodbye("stopping");
}

void SseStream::expire() {
    say_goodbye("expired");
}

/// The last word, to one that listens.
void SseStream::say_goodbye(std::string_view reason) {
    if (sink_ == nullptr) return;
    if (!has_room_) return sink_->drop();
    auto bye = fmt::format("event: bye\ndata: {{\"reason\":\"{}\",\"cursor\":\"{}\"}}\n\n", reason,
                           Cursor{streams_.log().epoch(), reader_.position()}.text());
    // Whoever does not take it is given up like others.
    if (!sink_->send(std::make_shared<std::string const>(std::move(bye)))) streams_.block(*this);
    has_room_ = false;
    sink_->end();
}

void SseStream::on_gone() {
    sink_ = nullptr;
    has_room_ = false;
    streams_.unblock(*this);
}

void SseStream::keep_alive() {
    if (std::exchange(was_active_, false) || sink_ == nullptr || !has_room_) return;
    // What is on its way to it would come with an older id; where the log could not be read, that
    // is tried again.
    if (reader_.position() != streams_.log().head_offset()) return sink_->call_soon();
    auto const& line = streams_.head_line();
    send({&line, 1});
    was_active_ = false;
}

void SseStream::give_up() {
    if (sink_ != nullptr) sink_->drop();
}

}  // namespace spoke::bridge
