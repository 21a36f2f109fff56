#include "device-sim/load/http_crowd.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>

#include "device-sim/load/load_failure.hpp"
#include "device-sim/load/meter.hpp"

namespace spoke::sim::load {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::uint32_t kOpeningMax = 128;
constexpr auto kStuck = 30s;
constexpr auto kBetweenEvents = 20ms;
constexpr std::size_t kReadBytes = 64 * 1024;
constexpr int kTurnEvents = 512;

Clock::duration seconds_of(double value) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>{value});
}

double micros_of(std::chrono::nanoseconds value) {
    return std::chrono::duration<double, std::micro>{value}.count();
}

/// Connections of one server in one epoll set.
class Crowd {
public:
    struct Member {
        int socket = -1;
        bool is_up = false;    // connected, its request is out
        bool is_open = false;  // the head of its first answer is there
        HeadReader head{};
        MarkerCount marker{};
        std::uint32_t marked = 0;
        Clock::time_point asked{};
    };
    using OnBytes = std::function<void(Member& member, std::string_view bytes)>;

    Crowd(CrowdSettings const& settings, std::string request);
    ~Crowd();
    Crowd(Crowd const&) = delete;
    Crowd& operator=(Crowd const&) = delete;

    /// Opens all of them, some at a time; returns once each has the head of its answer.
    void open(OnBytes const& on_bytes);

    /// Works until `done`, or `until`.
    void run(Clock::time_point until, std::function<bool()> const& done, OnBytes const& on_bytes);

    void send(Member& member);
    void send(Member& member, std::string_view request);
    [[nodiscard]] std::vector<Member>& members() noexcept { return members_; }
    [[nodiscard]] std::uint32_t lost() const noexcept { return lost_; }

    /// One connection more, outside of the crowd's members.
    [[nodiscard]] Member open_one();

private:
    [[nodiscard]] int connect_socket() const;
    void begin_next();
    void on_ready(std::uint32_t index, OnBytes const& on_bytes);
    void lose(Member& member);

    CrowdSettings const& settings_;
    std::string request_;
    sockaddr_in server_{};
    int epoll_ = -1;
    std::vector<Member> members_;
    std::uint32_t begun_ = 0;
    std::uint32_t opened_ = 0;
    std::uint32_t lost_ = 0;
    std::array<char, kReadBytes> chunk_{};
};

Crowd::Crowd(CrowdSettings const& settings, std::string request)
    : settings_(settings), request_(std::move(request)), members_(settings.connections) {
    server_.sin_family = AF_INET;
    server_.sin_port = htons(settings.port);
    if (::inet_pton(AF_INET, settings.address.c_str(), &server_.sin_addr) != 1) {
        throw LoadFailure{"--host: not an IPv4 address: " + settings.address};
    }
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) throw LoadFailure{"epoll: " + std::string{std::strerror(errno)}};
}

Crowd::~Crowd() {
    for (auto const& member : members_) {
        if (member.socket >= 0) ::close(member.socket);
    }
    ::close(epoll_);
}

int Crowd::connect_socket() const {
    auto socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket < 0) throw LoadFailure{"socket: " + std::string{std::strerror(errno)}};
    int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto const* address = reinterpret_cast<sockaddr const*>(&server_);
    if (::connect(socket, address, sizeof server_) != 0 && errno != EINPROGRESS) {
        auto why = std::string{std::strerror(errno)};
        ::close(socket);
        throw LoadFailure{fmt::format("{}:{}: {}", settings_.address, settings_.port, why)};
    }
    return socket;
}

void Crowd::begin_next() {
    auto index = begun_++;
    auto& member = members_[index];
    member.socket = connect_socket();
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT;
    event.data.u32 = index;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, member.socket, &event);
}

void Crowd::open(OnBytes const& on_bytes) {
    auto is_open = [this] { return opened_ + lost_ >= settings_.connections; };
    auto until = Clock::now() + kStuck;
    while (!is_open()) {
        auto before = opened_;
        while (begun_ < settings_.connections && begun_ - opened_ - lost_ < kOpeningMax) {
            begin_next();
        }
        run(
            until, [&] { return opened_ != before || is_open(); }, on_bytes);
        if (Clock::now() >= until) throw LoadFailure{"the connections do not come up"};
        if (opened_ != before) until = Clock::now() + kStuck;
    }
}

void Crowd::send(Member& member) {
    send(member, request_);
}

void Crowd::send(Member& member, std::string_view request) {
    member.asked = Clock::now();
    // Short, and the socket is empty: it takes all or nothing.
    auto sent = ::send(member.socket, request.data(), request.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(request.size())) lose(member);
}

void Crowd::lose(Member& member) {
    if (member.socket < 0) return;
    ::close(member.socket);
    member.socket = -1;
    ++lost_;
}

void Crowd::on_ready(std::uint32_t index, OnBytes const& on_bytes) {
    auto& member = members_[index];
    if (member.socket < 0) return;
    if (!member.is_up) {
        member.is_up = true;
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u32 = index;
        ::epoll_ctl(epoll_, EPOLL_CTL_MOD, member.socket, &event);
        return send(member);
    }
    auto size = ::recv(member.socket, chunk_.data(), chunk_.size(), 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) return lose(member);
    std::string_view bytes{chunk_.data(), static_cast<std::size_t>(size)};
    if (!member.head.is_whole()) {
        bytes.remove_prefix(member.head.feed(bytes));
        if (member.head.is_whole() && !std::exchange(member.is_open, true)) ++opened_;
    }
    on_bytes(member, bytes);
}

void Crowd::run(Clock::time_point until, std::function<bool()> const& done,
                OnBytes const& on_bytes) {
    std::array<epoll_event, kTurnEvents> events{};
    while (!done()) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
        if (left.count() <= 0) return;
        auto count =
            ::epoll_wait(epoll_, events.data(), kTurnEvents, static_cast<int>(left.count()));
        for (int i = 0; i < count; ++i) {
            on_ready(events[static_cast<std::size_t>(i)].data.u32, on_bytes);
        }
    }
}

Crowd::Member Crowd::open_one() {
    Member member;
    member.socket = connect_socket();
    auto flags = ::fcntl(member.socket, F_GETFL);
    ::fcntl(member.socket, F_SETFL, flags & ~O_NONBLOCK);
    return member;
}

std::string request_of(CrowdSettings const& settings) {
    auto text = fmt::format("GET {} HTTP/1.1\r\nHost: {}:{}\r\n", settings.target, settings.address,
                            settings.port);
    for (auto const& header : settings.headers) text += header + "\r\n";
    return text + "\r\n";
}

std::vector<ProcessSample> sample(std::vector<int> const& pids) {
    std::vector<ProcessSample> out;
    for (auto pid : pids) {
        auto one = sample_process(pid);
        if (!one) throw LoadFailure{fmt::format("there is no process {} to sample", pid)};
        out.push_back(*one);
    }
    return out;
}

/// Processor time of all of them between two samples.
std::chrono::nanoseconds spent(std::vector<ProcessSample> const& before,
                               std::vector<ProcessSample> const& after) {
    std::chrono::nanoseconds sum{};
    for (std::size_t i = 0; i < before.size(); ++i) {
        sum += after[i].cpu_total - before[i].cpu_total;
    }
    return sum;
}

/// A POST on a connection of its own, which is kept; blocks until its answer has come.
class Poster {
public:
    Poster(Crowd& crowd, CrowdSettings const& settings, std::string target)
        : settings_(settings), target_(std::move(target)), member_(crowd.open_one()) {}
    ~Poster() { ::close(member_.socket); }
    Poster(Poster const&) = delete;
    Poster& operator=(Poster const&) = delete;

    /// Writes only: the crowd is read meanwhile.
    void post(std::uint32_t number) {
        auto body = fmt::format("\"{} {}\"", MarkerCount::kMarker, number);
        auto text = fmt::format(
            "POST {} HTTP/1.1\r\nHost: {}:{}\r\nContent-Type: application/json\r\n"
            "Content-Length: {}\r\n\r\n{}",
            target_, settings_.address, settings_.port, body.size(), body);
        auto sent = ::send(member_.socket, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent != static_cast<ssize_t>(text.size())) throw LoadFailure{"cannot post"};
    }

    /// Reads what has come as an answer.
    void read() {
        std::array<char, 4096> chunk{};
        auto size = ::recv(member_.socket, chunk.data(), chunk.size(), MSG_DONTWAIT);
        if (size == 0) throw LoadFailure{"the connection for posts was closed"};
        if (size < 0) return;
        HeadReader head;
        head.feed({chunk.data(), static_cast<std::size_t>(size)});
        if (head.status() >= 300) {
            throw LoadFailure{
                fmt::format("POST {}: {}", target_,
                            std::string_view{chunk.data(), static_cast<std::size_t>(size)})};
        }
    }

private:
    CrowdSettings const& settings_;
    std::string target_;
    Crowd::Member member_;
};

}  // namespace

std::uint32_t MarkerCount::feed(std::string_view bytes) noexcept {
    std::uint32_t count = 0;
    while (!bytes.empty()) {
        if (matched_ == 0) {
            auto at = bytes.find(kMarker[0]);
            if (at == std::string_view::npos) break;
            bytes.remove_prefix(at);
        }
        auto c = bytes.front();
        bytes.remove_prefix(1);
        if (c == kMarker[matched_]) {
            ++matched_;
        } else {
            matched_ = c == kMarker[0] ? 1 : 0;
        }
        if (matched_ == kMarker.size()) {
            matched_ = 0;
            ++count;
        }
    }
    return count;
}

std::size_t HeadReader::feed(std::string_view bytes) noexcept {
    constexpr std::string_view kEnd = "\r\n\r\n";
    constexpr std::uint8_t kStatusAt = 9;  // behind "HTTP/1.1 "
    constexpr std::uint8_t kStatusEnd = 12;
    std::size_t used = 0;
    for (auto c : bytes) {
        ++used;
        if (place_ < kStatusEnd) {
            if (place_ >= kStatusAt) {
                status_ = static_cast<std::uint16_t>(status_ * 10 + (c - '0'));
            }
            ++place_;
        }
        line_ends_ = c == kEnd[line_ends_] ? static_cast<std::uint8_t>(line_ends_ + 1)
                                           : static_cast<std::uint8_t>(c == '\r' ? 1 : 0);
        if (line_ends_ == kEnd.size()) {
            is_whole_ = true;
            break;
        }
    }
    return used;
}

CrowdOutcome run_streams(StreamSettings const& settings) {
    auto const& pids = settings.crowd.pids;
    Crowd crowd{settings.crowd, request_of(settings.crowd)};
    std::uint32_t event = 0;     // the one on the way
    std::uint32_t complete = 0;  // streams that have it
    std::uint32_t doubled = 0;
    std::uint32_t refused = 0;
    Clock::time_point posted{};
    Histogram latency;
    auto on_bytes = [&](Crowd::Member& member, std::string_view bytes) {
        if (member.head.status() != 200) ++refused;
        auto count = member.marker.feed(bytes);
        if (count == 0) return;
        member.marked += count;
        if (member.marked != event) {
            ++doubled;
            return;
        }
        ++complete;
        latency.record(Clock::now() - posted);
    };
    auto before = sample(pids);
    auto began = Clock::now();
    crowd.open(on_bytes);
    auto took = std::chrono::duration<double>{Clock::now() - began}.count();
    auto never = [] { return false; };
    crowd.run(Clock::now() + seconds_of(settings.settle_seconds), never, on_bytes);
    auto idle = sample(pids);

    std::vector<double> last_ms;
    if (settings.events > 0) {
        Poster poster{crowd, settings.crowd, settings.post_target};
        for (std::uint32_t number = 1; number <= settings.events; ++number) {
            event = number;
            complete = 0;
            posted = Clock::now();
            poster.post(number);
            crowd.run(
                posted + kStuck,
                [&] { return complete + crowd.lost() >= settings.crowd.connections; }, on_bytes);
            poster.read();
            last_ms.push_back(micros_of(Clock::now() - posted) / 1000);
            crowd.run(Clock::now() + kBetweenEvents, never, on_bytes);
            poster.read();
        }
    }
    auto after = sample(pids);

    CrowdOutcome outcome;
    auto& report = outcome.report;
    auto count = static_cast<double>(settings.crowd.connections);
    report.add("mode", "streams").add("connections", settings.crowd.connections);
    report.add("lost", crowd.lost()).add("refused", refused).add("doubled", doubled);
    report.add("opened_per_second", count / took);
    if (!pids.empty()) {
        auto grown = static_cast<double>(idle[0].resident_bytes) -
                     static_cast<double>(before[0].resident_bytes);
        report.add("rss_per_stream", grown / count);
        report.add("rss_before", before[0].resident_bytes);
        report.add("rss_idle", idle[0].resident_bytes);
    }
    outcome.is_sound = crowd.lost() == 0 && refused == 0 && doubled == 0;
    if (settings.events == 0) return outcome;
    auto deliveries = latency.count();
    report.add("events", settings.events).add("deliveries", deliveries);
    std::sort(last_ms.begin(), last_ms.end());
    report.add("last_ms_p50", last_ms[last_ms.size() / 2]).add("last_ms_max", last_ms.back());
    report.add("delivery_us", distribution_of(latency));
    for (std::size_t i = 0; i < pids.size(); ++i) {
        auto cpu = micros_of(after[i].cpu_total - idle[i].cpu_total);
        report.add(fmt::format("cpu_us_per_delivery_{}", i),
                   cpu / static_cast<double>(std::max<std::uint64_t>(deliveries, 1)));
    }
    report.add("cpu_us_per_delivery",
               micros_of(spent(idle, after)) /
                   static_cast<double>(std::max<std::uint64_t>(deliveries, 1)));
    auto wanted = std::uint64_t{settings.events} * settings.crowd.connections;
    outcome.is_sound = outcome.is_sound && deliveries == wanted;
    return outcome;
}

CrowdOutcome run_polls(PollSettings const& settings) {
    auto const& pids = settings.crowd.pids;
    Crowd crowd{settings.crowd, request_of(settings.crowd)};
    Histogram latency;
    std::uint64_t wrong = 0;
    unsigned wrong_status = 0;
    bool is_measuring = false;
    bool is_over = false;
    auto on_bytes = [&](Crowd::Member& member, std::string_view bytes) {
        if (!member.head.is_whole()) return;
        if (member.head.status() != settings.status || !bytes.empty()) {
            ++wrong;
            wrong_status = member.head.status();
        }
        if (is_measuring) latency.record(Clock::now() - member.asked);
        if (is_over) return;
        member.head.begin_anew();
        crowd.send(member);
    };
    crowd.open(on_bytes);
    auto stops = [&] { return wrong != 0; };
    crowd.run(Clock::now() + seconds_of(settings.warmup_seconds), stops, on_bytes);
    auto before = sample(pids);
    auto own_before = sample_this_thread();
    auto began = Clock::now();
    is_measuring = true;
    crowd.run(began + seconds_of(settings.seconds), stops, on_bytes);
    auto took = std::chrono::duration<double>{Clock::now() - began}.count();
    auto own = (sample_this_thread() - own_before).total();
    auto after = sample(pids);
    is_over = true;

    CrowdOutcome outcome;
    auto& report = outcome.report;
    auto requests = static_cast<double>(std::max<std::uint64_t>(latency.count(), 1));
    report.add("mode", "polls").add("connections", settings.crowd.connections);
    report.add("requests", latency.count()).add("wrong", wrong).add("lost", crowd.lost());
    if (wrong != 0) report.add("wrong_status", wrong_status);
    report.add("per_second", requests / took);
    report.add("latency_us", distribution_of(latency));
    report.add("generator_share", micros_of(own) / 1e6 / took);
    if (!pids.empty()) {
        auto cpu = micros_of(spent(before, after)) / requests;
        report.add("cpu_us_per_request", cpu).add("per_core_second", 1e6 / cpu);
        report.add("server_share", micros_of(spent(before, after)) / 1e6 / took);
    }
    outcome.is_sound = wrong == 0 && crowd.lost() == 0;
    return outcome;
}

}  // namespace spoke::sim::load
