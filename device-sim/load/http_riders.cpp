#include "device-sim/load/http_riders.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <memory>
#include <optional>
#include <string_view>

#include "device-sim/http/http_client.hpp"
#include "device-sim/load/histogram.hpp"
#include "device-sim/load/load_failure.hpp"
#include "device-sim/load/meter.hpp"
#include "device-sim/load/process_sample.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim::load {
namespace {

namespace net = boost::asio;
namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr std::array<std::string_view, 4> kStages{"queue", "down", "device", "up"};

/// What all riders have seen.
struct Tally {
    Histogram latency{};
    std::uint64_t commands = 0;
    std::map<std::string, std::uint64_t> ends{};  // "200 succeeded"
    std::map<std::string_view, double> spent_ms{};
    std::map<std::string_view, std::uint64_t> spent_count{};
    std::string first_trouble{};
};

class Riders {
public:
    explicit Riders(RiderSettings const& settings) : settings_(settings), timer_(context_) {}

    RidersOutcome run();

private:
    struct Rider {
        std::uint32_t number;
        std::unique_ptr<HttpClient> client;
        std::uint64_t orders = 0;
        Clock::time_point asked{};
    };

    void start();
    void order(Rider& rider);
    [[nodiscard]] HttpRequest request_of(Rider const& rider) const;
    void on_response(Rider& rider, boost::system::error_code error, HttpResponse const& response);
    void count(HttpResponse const& response, Clock::duration took);
    void count_stages(json::object const& command);
    void begin();
    void end();
    [[nodiscard]] std::vector<ProcessSample> sample() const;
    [[nodiscard]] RidersOutcome conclude() const;
    void add_processes(JsonLine& report) const;

    static Clock::duration seconds(double value) {
        return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>{value});
    }

    RiderSettings const& settings_;
    net::io_context context_{1};
    net::steady_timer timer_;
    std::vector<Rider> riders_;
    Tally tally_;
    bool is_measuring_ = false;
    bool is_over_ = false;
    Clock::time_point begun_{};
    Clock::time_point ended_{};
    std::vector<ProcessSample> before_;
    std::vector<ProcessSample> after_;
};

RidersOutcome Riders::run() {
    for (std::uint32_t number = 0; number < settings_.riders; ++number) {
        HttpClient::Options options;
        options.address = settings_.address;
        options.port = settings_.port;
        riders_.push_back({number, std::make_unique<HttpClient>(context_, options)});
    }
    start();
    context_.run();
    if (!tally_.first_trouble.empty() && tally_.commands == 0) {
        throw LoadFailure{tally_.first_trouble};
    }
    return conclude();
}

void Riders::start() {
    for (auto& rider : riders_) order(rider);
    if (settings_.commands != 0) return begin();
    timer_.expires_after(seconds(settings_.warmup_seconds));
    timer_.async_wait([this](boost::system::error_code) {
        begin();
        timer_.expires_after(seconds(settings_.seconds));
        timer_.async_wait([this](boost::system::error_code) { end(); });
    });
}

void Riders::begin() {
    before_ = sample();
    begun_ = Clock::now();
    is_measuring_ = true;
}

void Riders::end() {
    if (is_over_) return;
    is_over_ = true;
    is_measuring_ = false;
    ended_ = Clock::now();
    after_ = sample();
}

std::vector<ProcessSample> Riders::sample() const {
    std::vector<ProcessSample> out;
    for (auto pid : settings_.pids) {
        auto sample = sample_process(pid);
        if (!sample) throw LoadFailure{fmt::format("there is no process {} to sample", pid)};
        out.push_back(*sample);
    }
    return out;
}

void Riders::order(Rider& rider) {
    auto request = request_of(rider);
    ++rider.orders;
    rider.asked = Clock::now();
    rider.client->send(
        request, [this, &rider](boost::system::error_code error, HttpResponse const& response) {
            on_response(rider, error, response);
        });
}

HttpRequest Riders::request_of(Rider const& rider) const {
    // Each rider has every riders-th device, so that no two of them meet in a lane.
    auto own = std::max<std::uint64_t>(settings_.devices / settings_.riders, 1);
    auto device = settings_.first +
                  (rider.number + rider.orders % own * settings_.riders) % settings_.devices;
    HttpRequest request;
    request.method = "POST";
    request.target = fmt::format("/v1/devices/{}{}/commands", settings_.device_prefix, device);
    if (settings_.wait_seconds > 0) {
        request.target += fmt::format("?wait={}", settings_.wait_seconds);
    }
    request.headers.emplace_back(
        "Idempotency-Key", fmt::format("\"{}-{}-{}\"", settings_.seed, rider.number, rider.orders));
    request.set_bearer(settings_.token);
    request.body = fmt::format(R"({{"do":"{}","ttl_ms":{}{}}})", settings_.verb, settings_.ttl_ms,
                               settings_.wait_offline ? R"(,"if_offline":"wait")" : "");
    return request;
}

void Riders::on_response(Rider& rider, boost::system::error_code error,
                         HttpResponse const& response) {
    auto now = Clock::now();
    if (error) {
        if (tally_.first_trouble.empty()) tally_.first_trouble = error.message();
        ++tally_.ends["no response"];
        return;  // a rider without a bridge rides no more
    }
    if (is_measuring_) count(response, now - rider.asked);
    if (settings_.commands != 0 && tally_.commands >= settings_.commands) end();
    if (!is_over_) order(rider);
}

void Riders::count(HttpResponse const& response, Clock::duration took) {
    ++tally_.commands;
    tally_.latency.record(took);
    json::error_code error;
    auto document = json::parse(response.body, error);
    auto const* command = error.failed() ? nullptr : document.if_object();
    auto const* state = command == nullptr ? nullptr : command->if_contains("state");
    auto end = fmt::format("{} {}", response.status,
                           state == nullptr || !state->is_string()
                               ? std::string_view{"problem"}
                               : std::string_view{state->get_string()});
    ++tally_.ends[end];
    if (command != nullptr && response.status == 200) count_stages(*command);
}

void Riders::count_stages(json::object const& command) {
    auto const* spent = command.if_contains("spent_ms");
    if (spent == nullptr || !spent->is_object()) return;
    for (auto stage : kStages) {
        auto const* value = spent->get_object().if_contains(stage);
        if (value == nullptr || !value->is_number()) continue;
        tally_.spent_ms[stage] += value->to_number<double>();
        ++tally_.spent_count[stage];
    }
}

RidersOutcome Riders::conclude() const {
    RidersOutcome outcome;
    auto& report = outcome.report;
    auto took = std::chrono::duration<double>{ended_ - begun_}.count();
    report.add("mode", "commands").add("riders", settings_.riders);
    report.add("devices", settings_.devices).add("verb", settings_.verb);
    report.add("wait", settings_.wait_seconds).add("commands", tally_.commands);
    report.add("seconds", took);
    report.add("per_second", static_cast<double>(tally_.commands) / took);
    report.add("latency_us", distribution_of(tally_.latency));
    JsonLine spent;
    for (auto const& [stage, sum] : tally_.spent_ms) {
        spent.add(stage, sum / static_cast<double>(tally_.spent_count.at(stage)));
    }
    report.add("spent_ms_mean", spent);
    JsonLine ends;
    auto ends_in_time = settings_.wait_seconds > 0 && !settings_.wait_offline;
    auto wanted = ends_in_time ? "200 succeeded" : "202 queued";
    for (auto const& [end, count] : tally_.ends) {
        ends.add(end, count);
        if (end != wanted) outcome.is_sound = false;
    }
    report.add("ends", ends);
    add_processes(report);
    if (!tally_.first_trouble.empty()) report.add("failure", tally_.first_trouble);
    return outcome;
}

void Riders::add_processes(JsonLine& report) const {
    for (std::size_t at = 0; at < after_.size(); ++at) {
        auto cpu =
            std::chrono::duration<double, std::micro>{after_[at].cpu_total - before_[at].cpu_total};
        JsonLine process;
        process.add("pid", settings_.pids[at]);
        process.add("cpu_us_per_command",
                    cpu.count() / static_cast<double>(std::max<std::uint64_t>(tally_.commands, 1)));
        process.add("rss_before", before_[at].resident_bytes);
        process.add("rss_after", after_[at].resident_bytes);
        report.add(fmt::format("process_{}", at), process);
    }
}

}  // namespace

RidersOutcome run_riders(RiderSettings const& settings) {
    return Riders{settings}.run();
}

}  // namespace spoke::sim::load
