#include "bridge/api/mqtt_relay.hpp"

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <optional>
#include <utility>

#include "bridge/api/problem.hpp"

namespace spoke::bridge {

namespace net = boost::asio;
using boost::system::error_code;
using net::ip::tcp;

struct MqttRelay::State {
    net::io_context& context;
    Settings settings;
    std::size_t size = 0;
    Counters counters{};
};

namespace {

constexpr std::size_t kReadSize = 16 * 1024;
constexpr std::chrono::seconds kFarewellMax{10};

constexpr std::uint16_t kBrokerGone = 1013;  // try again later
constexpr std::uint16_t kBridgeStops = 1001;
constexpr std::uint16_t kNotBinary = 1003;

/// Counts as one connection while it lives.
class Seat {
public:
    explicit Seat(std::shared_ptr<MqttRelay::State> state) : state_(std::move(state)) {
        ++state_->size;
    }
    Seat(Seat const&) = delete;
    Seat& operator=(Seat const&) = delete;
    ~Seat() { --state_->size; }

    [[nodiscard]] MqttRelay::State& state() const noexcept { return *state_; }

private:
    std::shared_ptr<MqttRelay::State> state_;
};

/// One WebSocket with its connection to the broker.
class Relayed final : public WebSocketEnd, public std::enable_shared_from_this<Relayed> {
public:
    Relayed(std::shared_ptr<Seat> seat, tcp::socket broker)
        : seat_(std::move(seat)), broker_(std::move(broker)), timer_(broker_.get_executor()) {
        error_code ignored;
        broker_.set_option(tcp::no_delay{true}, ignored);
    }

    void on_open(WebSocketSink& sink) override {
        sink_ = &sink;
        read();
    }

    void on_message(std::string_view message, WebSocketSink::Kind kind) override {
        if (kind != WebSocketSink::Kind::binary) {  // [MQTT-6.0.0-1]
            return sink_->close(kNotBinary, "MQTT is sent in binary messages");
        }
        if (message.empty() || is_broker_gone_) return;
        to_broker_bytes_ += message.size();
        counters().to_broker_bytes += message.size();
        to_broker_.emplace_back(message);
        if (to_broker_bytes_ >= buffer_bytes()) sink_->pause_reading();
        write();
    }

    void on_room() override { read(); }

    void on_stop() override { sink_->close(kBridgeStops, "the bridge stops"); }

    /// What the client has sent still goes to the broker, its DISCONNECT perhaps.
    void on_gone() override {
        sink_ = nullptr;
        if (is_broker_gone_) return;
        timer_.expires_after(kFarewellMax);
        timer_.async_wait([self = shared_from_this()](error_code error) {
            if (!error) self->on_broker_gone();
        });
        if (to_broker_.empty()) say_goodbye();
    }

private:
    [[nodiscard]] MqttRelay::Counters& counters() const noexcept { return seat_->state().counters; }
    [[nodiscard]] std::size_t buffer_bytes() const noexcept {
        return seat_->state().settings.buffer_bytes;
    }

    void write() {
        if (is_writing_ || to_broker_.empty()) return;
        is_writing_ = true;
        net::async_write(broker_, net::buffer(to_broker_.front()),
                         [self = shared_from_this()](error_code error, std::size_t) {
                             self->is_writing_ = false;
                             self->on_written(error);
                         });
    }

    void on_written(error_code error) {
        if (error) return on_broker_gone();
        to_broker_bytes_ -= to_broker_.front().size();
        to_broker_.pop_front();
        if (sink_ != nullptr && to_broker_bytes_ < buffer_bytes()) sink_->resume_reading();
        write();
        if (sink_ == nullptr && to_broker_.empty()) say_goodbye();
    }

    void read() {
        if (is_reading_ || is_broker_gone_) return;
        is_reading_ = true;
        // No buffer while nothing comes.
        broker_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code error) {
            self->is_reading_ = false;
            if (error) return self->on_broker_gone();
            self->take();
        });
    }

    void take() {
        std::array<char, kReadSize> bytes;
        error_code error;
        auto size = broker_.read_some(net::buffer(bytes), error);
        if (error == net::error::would_block) return read();
        if (error) return on_broker_gone();
        if (sink_ == nullptr) return read();  // nobody wants it any more
        counters().from_broker_bytes += size;
        auto message = std::make_shared<std::string const>(bytes.data(), size);
        if (sink_->send(std::move(message), WebSocketSink::Kind::binary)) read();
    }

    void on_broker_gone() {
        is_broker_gone_ = true;
        timer_.cancel();
        error_code ignored;
        broker_.close(ignored);
        if (sink_ != nullptr) sink_->close(kBrokerGone, "the broker has closed the connection");
    }

    /// Closing at once could take from the broker what it has not read yet.
    void say_goodbye() {
        if (is_broker_gone_) return;
        error_code ignored;
        broker_.shutdown(tcp::socket::shutdown_send, ignored);
        read();
    }

    std::shared_ptr<Seat> seat_;
    tcp::socket broker_;
    net::steady_timer timer_;
    WebSocketSink* sink_ = nullptr;        // null: not open yet, or gone
    std::deque<std::string> to_broker_{};  // the first is being written
    std::size_t to_broker_bytes_ = 0;
    bool is_reading_ = false;
    bool is_writing_ = false;
    bool is_broker_gone_ = false;
};

/// The subprotocol that is spoken: "mqtt" (5 and 3.1.1), or "mqttv3.1" as older clients call it.
std::string subprotocol_of(HttpRequest const& request) {
    for (auto const* name : {"mqtt", "mqttv3.1"}) {
        if (names_subprotocol(request, name)) return name;
    }
    return {};
}

std::optional<Problem> check(HttpRequest const& request, MqttRelay::State& state) {
    if (!wants_web_socket(request)) {
        Problem problem{ProblemKind::invalid, "this path takes WebSockets alone (RFC 6455)"};
        problem.status = 426;
        problem.headers.emplace_back("Upgrade", "websocket");
        return problem;
    }
    if (subprotocol_of(request).empty()) {
        return Problem{ProblemKind::invalid, "Sec-WebSocket-Protocol must name mqtt or mqttv3.1"};
    }
    if (state.size < state.settings.connections_max) return std::nullopt;
    ++state.counters.refused;
    return Problem{ProblemKind::too_many_connections,
                   "as many MQTT connections as http.mqtt_connections_max",
                   {},
                   {{"Retry-After", "10"}}};
}

/// A connection to the broker that is being made.
struct Attempt : std::enable_shared_from_this<Attempt> {
    Attempt(std::shared_ptr<Seat> s, std::string p, Respond r)
        : seat(std::move(s)),
          subprotocol(std::move(p)),
          respond(std::move(r)),
          resolver(seat->state().context),
          socket(seat->state().context),
          timer(seat->state().context) {}

    void start() {
        auto const& settings = seat->state().settings;
        timer.expires_after(settings.connect_timeout);
        timer.async_wait([self = shared_from_this()](error_code error) {
            if (!error) self->fail("no connection within broker.connect_timeout");
        });
        resolver.async_resolve(
            settings.host, std::to_string(settings.port),
            [self = shared_from_this()](error_code error, tcp::resolver::results_type found) {
                if (error) return self->fail(error.message());
                self->connect(found);
            });
    }

    void connect(tcp::resolver::results_type const& found) {
        if (!respond) return;
        net::async_connect(socket, found,
                           [self = shared_from_this()](error_code error, tcp::endpoint const&) {
                               if (error) return self->fail(error.message());
                               self->succeed();
                           });
    }

    void fail(std::string why) {
        if (!respond) return;
        ++seat->state().counters.failed;
        timer.cancel();
        resolver.cancel();
        error_code ignored;
        socket.close(ignored);
        auto told = std::exchange(respond, {});
        told(to_response(
            Problem{ProblemKind::broker_down, std::move(why), {}, {{"Retry-After", "2"}}}));
    }

    void succeed() {
        if (!respond) return;
        timer.cancel();
        ++seat->state().counters.opened;
        socket.non_blocking(true);
        HttpResponse response;
        response.web_socket.end = std::make_shared<Relayed>(seat, std::move(socket));
        response.web_socket.subprotocol = subprotocol;
        response.web_socket.message_bytes_max = seat->state().settings.message_bytes_max;
        response.web_socket.room_bytes = seat->state().settings.buffer_bytes;
        auto told = std::exchange(respond, {});
        told(std::move(response));
    }

    std::shared_ptr<Seat> seat;
    std::string subprotocol;
    Respond respond;  // empty: it was answered
    tcp::resolver resolver;
    tcp::socket socket;
    net::steady_timer timer;
};

}  // namespace

MqttRelay::MqttRelay(net::io_context& context, Settings settings)
    : state_(std::make_shared<State>(State{context, std::move(settings), 0, {}})) {}

MqttRelay::~MqttRelay() = default;

void MqttRelay::open(HttpRequest const& request, Respond respond) {
    if (auto problem = check(request, *state_)) return respond(to_response(*problem));
    std::make_shared<Attempt>(std::make_shared<Seat>(state_), subprotocol_of(request),
                              std::move(respond))
        ->start();
}

MqttRelay::Counters MqttRelay::counters() const noexcept {
    auto out = state_->counters;
    out.open = state_->size;
    return out;
}

std::size_t MqttRelay::size() const noexcept {
    return state_->size;
}

}  // namespace spoke::bridge
