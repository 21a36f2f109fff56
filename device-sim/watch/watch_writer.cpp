#include "device-sim/watch/watch_writer.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "device-sim/watch/http_writer.hpp"
#include "device-sim/watch/mqtt_writer.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {
namespace {

using Millis = std::chrono::milliseconds;

constexpr Millis kAgainMin{50};
constexpr Millis kAgainMax{500};
constexpr double kCollapseShare = 0.3;
constexpr std::uint64_t kCollapseKeys = 3;
constexpr double kTtlShare = 0.3;
constexpr Millis kTtlMin{300};  // over HTTP, in milliseconds
constexpr Millis kTtlMax{4'000};
constexpr std::uint64_t kTtlSecondsMin = 3;  // over MQTT, in seconds
constexpr std::uint64_t kTtlSecondsMax = 7;
constexpr std::array<std::string_view, 4> kTypes{"like", "comment", "say", "moved"};

}  // namespace

std::unique_ptr<WatchWriter> make_writer(boost::asio::io_context& context, mqtt::LinkHub& hub,
                                         WriterOptions const& options, WatchJudge& judge,
                                         WriterTally& tally, WriterRole role) {
    auto way = role.way;
    if (way == WriteWay::http || way == WriteWay::inbox) {
        return std::make_unique<HttpWriter>(context, options, judge, tally, std::move(role));
    }
    return std::make_unique<MqttWriter>(context, hub, options, judge, tally, std::move(role));
}

PacedWriter::PacedWriter(boost::asio::io_context& context, WatchJudge& judge, WriterTally& tally,
                         WriterRole role)
    : judge_(judge), tally_(tally), role_(std::move(role)), dice_(role_.seed), timer_(context) {}

void PacedWriter::wait_for_next() {
    timer_.expires_after(dice_.between(role_.every / 2, role_.every * 3 / 2));
    timer_.async_wait([this](boost::system::error_code error) {
        if (!error) next();
    });
}

/// POST /v1/publish has no collapse key.
MessageTerms PacedWriter::draw_terms() {
    bool is_put = role_.way == WriteWay::inbox;
    MessageTerms terms;
    if (!is_put && !message_.topic.starts_with("u/")) return terms;
    if (role_.way != WriteWay::http && dice_.chance(kCollapseShare)) {
        terms.collapse = fmt::format("post-{}", dice_.next() % kCollapseKeys);
    }
    if (!dice_.chance(kTtlShare)) return terms;
    terms.counts_on_the_way = !is_put;
    auto seconds = kTtlSecondsMin + dice_.next() % (kTtlSecondsMax - kTtlSecondsMin + 1);
    terms.ttl = is_put ? dice_.between(kTtlMin, kTtlMax) : std::chrono::seconds{seconds};
    return terms;
}

void PacedWriter::next() {
    if (is_stopped_ || is_finishing_) return;
    is_writing_ = true;
    message_.name = fmt::format("{}-{}", role_.name, ++number_);
    message_.topic = role_.topics[dice_.next() % role_.topics.size()];
    message_.type = kTypes[dice_.next() % kTypes.size()];
    auto pad = std::string(dice_.next() % 64, 'x');
    message_.data =
        fmt::format(R"({{"m":"{}","type":"{}","pad":"{}"}})", message_.name, message_.type, pad);
    message_.terms = draw_terms();
    ++tally_.written;
    judge_.on_asked(message_.name, message_.terms, read_clocks().wall);
    send();
}

void PacedWriter::acknowledged() {
    judge_.on_acknowledged(message_.name);
    done();
}

void PacedWriter::give_up() {
    ++tally_.unknown;
    done();
}

void PacedWriter::done() {
    is_writing_ = false;
    if (auto finished = std::exchange(finished_, {})) return finished();
    if (!is_stopped_ && !is_finishing_) wait_for_next();
}

void PacedWriter::again_after(Millis delay) {
    if (is_stopped_) return;
    ++tally_.again;
    timer_.expires_after(delay);
    timer_.async_wait([this](boost::system::error_code error) {
        if (!error) send();
    });
}

void PacedWriter::again_soon() {
    again_after(dice_.between(kAgainMin, kAgainMax));
}

void PacedWriter::finish(std::function<void()> done) {
    is_finishing_ = true;
    if (is_writing_) {
        finished_ = std::move(done);
        return;
    }
    timer_.cancel();
    done();
}

void PacedWriter::stop() {
    is_stopped_ = true;
    finished_ = {};
    timer_.cancel();
}

}  // namespace spoke::sim
