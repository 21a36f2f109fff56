#include "device-sim/watch/watch_cast.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "protocol/base/time.hpp"

namespace spoke::sim {
namespace {

constexpr double kReadsShare = 0.2;  // of an owner's looks: marks what he saw

std::string name_of_run(std::uint64_t seed) {
    auto now = read_clocks().wall.time_since_epoch().count() / 1000;
    return fmt::format("w{}-{:x}", seed, now % 0xFFFF'FFFF);
}

}  // namespace

std::vector<std::string> WatchCast::all_filters() {
    return {"t/#", "d/+/evt", "u/+/in"};
}

WatchCast::WatchCast(boost::asio::io_context& context, CastOptions options, WatchJudge& judge)
    : context_(context),
      options_(std::move(options)),
      judge_(judge),
      run_(name_of_run(options_.seed)),
      hub_(context, options_.seed),
      dice_(options_.seed),
      forgotten_(context, options_.reading, options_.forgets) {
    options_.reading.client_prefix = run_ + "-";
    writer_options_.http = options_.reading.http;
    writer_options_.token = options_.reading.token;
    writer_options_.mqtt_host = options_.reading.mqtt_host;
    writer_options_.mqtt_port = options_.reading.mqtt_port;
    writer_options_.client_prefix = run_ + "-";
}

void WatchCast::start(Place const& start) {
    make_readers(start);
    make_owners();
    make_writers();
    for (auto const& reader : readers_) {
        reader->start();
        reader->begin_faults();
    }
    for (auto const& writer : writers_) writer->start();
    for (auto const& owner : owners_) owner->start();
    forgotten_.start(start);
}

std::vector<std::string> WatchCast::filters_of(std::size_t set) const {
    switch (set % 4) {
        case 0:
            return all_filters();
        case 1:
            return {"t/#"};
        case 2:
            return {"d/+/evt", "u/+/in"};
        default:
            return {fmt::format("t/{}-0/#", run_), fmt::format("u/{}-0/in", run_)};
    }
}

void WatchCast::make_readers(Place const& start) {
    for (std::size_t i = 0; i < options_.readers_per_way; ++i) {
        for (auto way : kWays) {
            ReaderRole role{fmt::format("{}-{}", to_text(way), i), way, filters_of(i), start,
                            dice_.next()};
            if (readers_.empty()) role.flaw = options_.flaw;
            role.forgotten = &forgotten_;
            readers_.push_back(std::make_unique<WatchReader>(context_, hub_, options_.reading,
                                                             options_.faults, judge_, reader_tally_,
                                                             std::move(role)));
        }
    }
}

void WatchCast::make_owners() {
    for (std::size_t i = 0; i < options_.inboxes; ++i) {
        inboxes_.push_back(fmt::format("{}-{}", run_, i));
        InboxOwner::Role role{inboxes_.back(), i % 2 == 0, kReadsShare, dice_.next()};
        owners_.push_back(std::make_unique<InboxOwner>(
            context_, options_.reading.http, options_.reading.token, judge_, std::move(role)));
    }
}

void WatchCast::make_writers() {
    std::vector<std::string> topics;
    for (std::size_t i = 0; i < options_.tables; ++i) {
        topics.push_back(fmt::format("t/{}-{}/say", run_, i));
    }
    for (std::size_t i = 0; i < options_.bikes; ++i) {
        topics.push_back(fmt::format("d/{}-{}/evt", run_, i));
    }
    for (auto const& inbox : inboxes_) topics.push_back(fmt::format("u/{}/in", inbox));
    constexpr std::array kWriteWays{WriteWay::mqtt, WriteWay::mqtt_keyed, WriteWay::http,
                                    WriteWay::inbox};
    std::chrono::duration<double> every{static_cast<double>(options_.writers) /
                                        options_.events_per_s};
    for (std::size_t i = 0; i < options_.writers; ++i) {
        auto way = kWriteWays[i % kWriteWays.size()];
        WriterRole role{fmt::format("{}-{}", run_, i), way,
                        way == WriteWay::inbox ? inboxes_ : topics,
                        std::chrono::duration_cast<std::chrono::milliseconds>(every), dice_.next()};
        writers_.push_back(
            make_writer(context_, hub_, writer_options_, judge_, writer_tally_, std::move(role)));
    }
}

void WatchCast::calm(std::function<void()> on_written) {
    for (auto const& reader : readers_) reader->calm();
    for (auto const& owner : owners_) owner->calm();
    writing_ = writers_.size();
    for (auto const& writer : writers_) {
        writer->finish([this, on_written] {
            --writing_;
            on_written();
        });
    }
}

void WatchCast::look_at_inboxes(std::function<void()> done) {
    looking_ = owners_.size();
    if (owners_.empty()) return done();
    for (auto const& owner : owners_) {
        owner->look_at_the_end([this, done] {
            if (--looking_ == 0) done();
        });
    }
}

void WatchCast::stop() {
    for (auto const& reader : readers_) reader->stop();
    for (auto const& writer : writers_) writer->stop();
    for (auto const& owner : owners_) owner->stop();
    forgotten_.stop();
}

std::vector<std::string> WatchCast::doubts() const {
    std::vector<std::string> out;
    if (writing_ != 0) out.push_back(fmt::format("{} writers got no answer to the end", writing_));
    for (auto way : kWays) {
        if (reader_tally_.told[static_cast<std::size_t>(way)] != 0) continue;
        out.push_back(fmt::format("no reader was told anything by {}", to_text(way)));
    }
    if (!forgotten_.topic().empty() && !forgotten_.is_old()) {
        out.push_back(fmt::format("the bridge has forgotten nothing of {}", forgotten_.topic()));
    }
    return out;
}

}  // namespace spoke::sim
