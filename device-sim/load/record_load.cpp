#include "device-sim/load/record_load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "device-sim/load/load_failure.hpp"
#include "device-sim/load/meter.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/link/link.hpp"

namespace spoke::sim::load {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kStuck = 30s;
constexpr auto kRateTick = 1ms;

Clock::duration seconds_of(double value) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>{value});
}

class RecordLoad final : private mqtt::LinkObserver {
public:
    explicit RecordLoad(RecordSettings const& settings)
        : settings_(settings),
          hub_(context_, 1),
          link_(hub_, link_options(settings), *this),
          stream_(context_),
          timer_(context_),
          rate_timer_(context_),
          progress_timer_(context_) {}

    CrowdOutcome run();

private:
    static std::shared_ptr<mqtt::LinkOptions const> link_options(RecordSettings const& settings);

    mqtt::Connect make_connect() override;
    void on_connected(mqtt::ConnAck const& packet) override;
    void on_closed(mqtt::Closed const& closed) override { fail("MQTT: " + closed.text); }
    void on_link(mqtt::LinkStatus const& status) override {
        if (status.state == mqtt::LinkState::waiting) fail(std::string{status.why});
    }
    mqtt::Acknowledge on_message(mqtt::ReceivedMessage const& message) override;
    void on_published(mqtt::PublishToken token, mqtt::PublishOutcome const& outcome) override;
    void on_subscribed(mqtt::RequestToken token, mqtt::SubAck const& packet) override;
    void on_unsubscribed(mqtt::RequestToken token, mqtt::UnsubAck const& packet) override;
    void on_request_failed(mqtt::RequestToken token, mqtt::RequestFailure why) override;

    void open_stream();
    void read();
    void on_bytes(std::string_view bytes);
    void publish_more();
    void publish_at_rate();
    void publish();
    void begin();
    void end();
    void watch_for_progress();
    void fail(std::string why);
    [[nodiscard]] std::vector<ProcessSample> sample() const;

    RecordSettings const& settings_;
    net::io_context context_{1};
    mqtt::LinkHub hub_;
    mqtt::Link link_;
    net::ip::tcp::socket stream_;
    net::steady_timer timer_;
    net::steady_timer rate_timer_;
    net::steady_timer progress_timer_;
    std::array<char, 64 * 1024> chunk_{};
    MarkerCount marker_{};
    std::deque<Clock::time_point> on_the_way_{};
    std::uint64_t published_ = 0;
    std::uint64_t recorded_ = 0;
    std::uint64_t refused_ = 0;
    std::uint64_t surplus_ = 0;
    std::uint64_t recorded_at_last_look_ = 0;
    std::optional<std::uint64_t> measured_from_{};
    std::uint64_t measured_ = 0;
    Histogram latency_{};
    Clock::time_point begun_{};
    Clock::time_point ended_{};
    Clock::time_point next_due_{};
    std::vector<ProcessSample> before_{};
    std::vector<ProcessSample> after_{};
    std::string failure_{};
    bool is_measuring_ = false;
    bool is_over_ = false;
};

std::shared_ptr<mqtt::LinkOptions const> RecordLoad::link_options(RecordSettings const& settings) {
    auto options = std::make_shared<mqtt::LinkOptions>();
    options->host = settings.address;
    options->port = settings.mqtt_port;
    options->client.in_flight_max =
        static_cast<std::uint16_t>(std::min<std::uint32_t>(settings.window, 32'767));
    options->client.queue_messages_max = settings.window;
    options->client.queue_bytes_max = 64 << 20;
    return options;
}

CrowdOutcome RecordLoad::run() {
    open_stream();
    link_.start();
    context_.run();
    if (!failure_.empty()) throw LoadFailure{failure_};
    CrowdOutcome outcome;
    auto& report = outcome.report;
    auto took = std::chrono::duration<double>{ended_ - begun_}.count();
    report.add("mode", "record").add("window", settings_.window).add("rate", settings_.rate);
    report.add("recorded", measured_).add("seconds", took);
    report.add("per_second", static_cast<double>(measured_) / took);
    report.add("refused", refused_).add("surplus", surplus_);
    report.add("latency_us", distribution_of(latency_));
    for (std::size_t i = 0; i < after_.size(); ++i) {
        auto cpu =
            std::chrono::duration<double, std::micro>{after_[i].cpu_total - before_[i].cpu_total};
        report.add(fmt::format("cpu_us_per_event_{}", i),
                   cpu.count() / static_cast<double>(std::max<std::uint64_t>(measured_, 1)));
    }
    outcome.is_sound = refused_ == 0 && surplus_ == 0;
    return outcome;
}

void RecordLoad::fail(std::string why) {
    if (is_over_) return;
    is_over_ = true;
    failure_ = std::move(why);
    context_.stop();
}

// ---- the stream ----

void RecordLoad::open_stream() {
    error_code error;
    stream_.connect({net::ip::make_address(settings_.address), settings_.http_port}, error);
    if (error) throw LoadFailure{"the bridge: " + error.message()};
    auto request = fmt::format(
        "GET /v1/events?topic={} HTTP/1.1\r\nHost: {}:{}\r\nAccept: text/event-stream\r\n\r\n",
        settings_.topic, settings_.address, settings_.http_port);
    net::write(stream_, net::buffer(request), error);
    net::streambuf head;
    // Until it is there, so that no event comes before.
    net::read_until(stream_, head, "event: hello", error);
    if (error) throw LoadFailure{"the bridge gives no stream: " + error.message()};
    read();
}

void RecordLoad::read() {
    stream_.async_read_some(net::buffer(chunk_), [this](error_code error, std::size_t size) {
        if (is_over_) return;
        if (error) return fail("the stream ended: " + error.message());
        on_bytes({chunk_.data(), size});
        read();
    });
}

void RecordLoad::on_bytes(std::string_view bytes) {
    auto count = marker_.feed(bytes);
    auto now = Clock::now();
    for (std::uint32_t i = 0; i < count; ++i) {
        if (on_the_way_.empty()) {
            ++surplus_;
            continue;
        }
        if (is_measuring_) latency_.record(now - on_the_way_.front());
        on_the_way_.pop_front();
        ++recorded_;
    }
    if (settings_.rate <= 0) publish_more();
}

// ---- publishing ----

mqtt::Connect RecordLoad::make_connect() {
    mqtt::Connect connect;
    connect.client_id = "load-record";
    return connect;
}

void RecordLoad::on_connected(mqtt::ConnAck const&) {
    if (settings_.rate > 0) {
        next_due_ = Clock::now();
        publish_at_rate();
    } else {
        publish_more();
    }
    watch_for_progress();
    timer_.expires_after(seconds_of(settings_.warmup_seconds));
    timer_.async_wait([this](error_code error) {
        if (!error) begin();
    });
}

void RecordLoad::publish_more() {
    while (!is_over_ && on_the_way_.size() < settings_.window) publish();
}

void RecordLoad::publish_at_rate() {
    auto every = seconds_of(1 / settings_.rate);
    for (; next_due_ <= Clock::now() && on_the_way_.size() < settings_.window; next_due_ += every) {
        publish();
    }
    rate_timer_.expires_after(kRateTick);
    rate_timer_.async_wait([this](error_code error) {
        if (!error && !is_over_) publish_at_rate();
    });
}

void RecordLoad::publish() {
    auto text = fmt::format("\"{} {} ", MarkerCount::kMarker, published_++);
    text.resize(std::max<std::size_t>(text.size(), settings_.payload_size - 1), 'x');
    mqtt::Publish packet;
    packet.topic = settings_.topic;
    packet.qos = mqtt::Qos::at_least_once;
    packet.payload = to_buffer(text + '"');
    on_the_way_.push_back(Clock::now());
    link_.publish(packet, {});
}

void RecordLoad::on_published(mqtt::PublishToken, mqtt::PublishOutcome const& outcome) {
    // At the end some are on the way, and nobody waits for them.
    if (!is_over_ && outcome.status != mqtt::PublishStatus::acknowledged) ++refused_;
}

mqtt::Acknowledge RecordLoad::on_message(mqtt::ReceivedMessage const&) {
    return mqtt::Acknowledge::now;
}

void RecordLoad::on_subscribed(mqtt::RequestToken, mqtt::SubAck const&) {}

void RecordLoad::on_unsubscribed(mqtt::RequestToken, mqtt::UnsubAck const&) {}

void RecordLoad::on_request_failed(mqtt::RequestToken, mqtt::RequestFailure) {}

// ---- measuring ----

std::vector<ProcessSample> RecordLoad::sample() const {
    std::vector<ProcessSample> out;
    for (auto pid : settings_.pids) {
        auto one = sample_process(pid);
        if (!one) throw LoadFailure{fmt::format("there is no process {} to sample", pid)};
        out.push_back(*one);
    }
    return out;
}

void RecordLoad::begin() {
    before_ = sample();
    begun_ = Clock::now();
    measured_from_ = recorded_;
    is_measuring_ = true;
    timer_.expires_after(seconds_of(settings_.seconds));
    timer_.async_wait([this](error_code error) {
        if (!error) end();
    });
}

void RecordLoad::watch_for_progress() {
    progress_timer_.expires_after(kStuck);
    progress_timer_.async_wait([this](error_code error) {
        if (error || is_over_) return;
        if (std::exchange(recorded_at_last_look_, recorded_) == recorded_) {
            return fail("nothing is recorded any more");
        }
        watch_for_progress();
    });
}

void RecordLoad::end() {
    ended_ = Clock::now();
    after_ = sample();
    measured_ = recorded_ - *measured_from_;
    is_over_ = true;
    is_measuring_ = false;
    if (measured_ == 0) failure_ = "nothing was recorded";
    link_.stop();
    context_.stop();
}

}  // namespace

CrowdOutcome run_record(RecordSettings const& settings) {
    return RecordLoad{settings}.run();
}

}  // namespace spoke::sim::load
