#include "bridge/app/program.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/documents.hpp"
#include "bridge/api/event_wish.hpp"
#include "bridge/api/http_server.hpp"
#include "bridge/api/mqtt_relay.hpp"
#include "bridge/app/make_store.hpp"
#include "bridge/app/mqtt_uplink.hpp"
#include "bridge/app/random_words.hpp"
#include "bridge/app/security.hpp"
#include "bridge/app/webhooks.hpp"
#include "bridge/service/service.hpp"

namespace spoke::bridge {
namespace {

namespace net = boost::asio;
using boost::system::error_code;

/// As many as the system allows: each connection and each request that waits needs one.
void raise_open_files_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void set_up_log(LogConfig const& config) {
    static constexpr std::array kLevels{spdlog::level::trace, spdlog::level::debug,
                                        spdlog::level::info, spdlog::level::warn,
                                        spdlog::level::err};
    spdlog::sink_ptr sink;
    if (config.file.empty()) {
        sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
    } else {
        sink = std::make_shared<spdlog::sinks::basic_file_sink_st>(config.file);
    }
    auto logger = std::make_shared<spdlog::logger>("spoke-bridge", std::move(sink));
    logger->set_level(kLevels[static_cast<std::size_t>(config.level)]);
    logger->flush_on(spdlog::level::trace);
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %-7l %v");
    spdlog::set_default_logger(std::move(logger));
}

Service::Settings service_settings(Config const& config) {
    Service::Settings settings;
    settings.commands.open_max = config.commands.open_max;
    settings.commands.lane_queue_max = config.commands.lane_queue_max;
    settings.commands.keys_per_command_max = config.commands.keys_per_command_max;
    settings.commands.grace = config.commands.grace;
    settings.requests.open_max = config.requests.open_max;
    settings.requests.waiting_max = config.requests.waiting_max;
    settings.commands.abandon = config.commands.abandon_after;
    settings.commands.ack_patience = config.commands.ack_patience;
    settings.devices.devices_max = config.devices.devices_max;
    settings.devices.quiet_after = config.devices.quiet_after;
    settings.devices.offline_after = config.devices.offline_after;
    settings.inboxes.limits.unread_max = config.inboxes.unread_max;
    settings.inboxes.limits.behind_max = std::size_t{10} * config.inboxes.unread_max;
    settings.inboxes.cache_bytes_max = config.inboxes.cache_bytes_max;
    settings.inboxes.expiries_max = config.inboxes.expiries_max;
    settings.feed.prefix = config.events.feed;
    settings.feed.window = config.events.feed_window;
    settings.replay.runs_max = config.events.replays_max;
    if (!config.events.feed.empty()) settings.replay.prefix = config.events.feed + "/replay/";
    settings.instance = config.broker.client_id;
    settings.device_message_bytes_max = config.devices.message_bytes_max;
    return settings;
}

EventLog::Settings log_settings(EventsConfig const& config) {
    EventLog::Settings settings;
    settings.classes = event_classes(config);
    settings.tail_events_max = config.tail_events_max;
    settings.tail_bytes_max = config.tail_bytes_max;
    return settings;
}

HttpServer::Options server_options(HttpConfig const& config, bool loopback_only) {
    HttpServer::Options options;
    options.host = config.address;
    options.port = config.port;
    options.loopback_only = loopback_only;
    options.certificate = config.certificate;
    options.private_key = config.private_key;
    options.header_bytes_max = config.header_bytes_max;
    options.body_bytes_max = config.body_bytes_max;
    options.transfer_bytes_max = config.transfer_bytes_max;
    options.connections_max = config.connections_max;
    options.connections_per_address_max = config.connections_per_address_max;
    options.header_timeout = config.header_timeout;
    options.body_timeout = config.body_timeout;
    options.idle_timeout = config.idle_timeout;
    options.write_timeout = config.write_timeout;
    options.gzip_bytes_min = config.gzip_bytes_min;
    options.cors_origins = config.cors_origins;
    return options;
}

MqttRelay::Settings relay_settings(Config const& config) {
    MqttRelay::Settings settings;
    settings.host = config.broker.address;
    settings.port = config.broker.port;
    settings.connections_max = config.http.mqtt_connections_max;
    settings.message_bytes_max = config.http.mqtt_message_bytes_max;
    settings.connect_timeout = config.broker.connect_timeout;
    return settings;
}

/// The relay outlives the API.
Api::Settings with_relay(Config const& config, MqttRelay& relay) {
    auto settings = api_settings(config);
    if (!config.http.mqtt) return settings;
    settings.mqtt_relay = [&relay](HttpRequest const& request, Respond respond) {
        relay.open(request, std::move(respond));
    };
    settings.mqtt_relay_counters = [&relay] { return relay.counters(); };
    return settings;
}

/// All parts, in the order in which they need each other.
class Program {
public:
    explicit Program(Config const& config)
        : stores_(make_stores(config.store, config.events, context_)),
          log_(log_settings(config.events), *stores_.events),
          uplink_(context_, config.broker, random()),
          timer_(context_),
          service_(service_settings(config), world()),
          auth_(config.auth),
          access_(token_rules(config.auth), load_keys(config.auth)),
          webhooks_(context_, config.hooks, log_, *stores_.hooks, [this] { return random(); }),
          relay_(context_, relay_settings(config)),
          api_(service_, access_, webhooks_.hooks(), with_relay(config, relay_)),
          server_(
              context_, server_options(config.http, access_.is_open()),
              [this](HttpRequest const& request, Respond respond) {
                  handle(request, std::move(respond));
              },
              [this] { return random(); }),
          signals_(context_, SIGINT, SIGTERM),
          hangups_(context_, SIGHUP),
          stop_timer_(context_) {}

    void run(Loaded const& loaded) {
        server_.listen();
        if (loaded.file.empty()) {
            spdlog::info("no configuration file: every option has its default or that of a flag");
        }
        if (access_.is_open()) {
            spdlog::warn(
                "no key in [auth]: whoever reaches the port may command every device, so it is "
                "loopback only");
        }
        auto const& host = loaded.config.http.address;
        auto is_ipv6 = host.find(':') != std::string::npos;
        auto scheme = loaded.config.http.certificate.empty() ? "" : " with TLS";
        spdlog::info("listening on {}:{}{}", is_ipv6 ? "[" + host + "]" : host, server_.port(),
                     scheme);
        service_.restore();
        webhooks_.start();
        await_signal();
        await_hangup();
        uplink_.start(service_);
        context_.run();
    }

private:
    Service::World world() {
        return {*stores_.records,
                uplink_,
                log_,
                read_clocks,
                [this] { return random(); },
                [this](SteadyTime when) { wake_at(when); },
                [](std::string const& line) { spdlog::debug(line); },
                [](std::string const& line) { spdlog::warn(line); },
                command_document,
                [this](std::string_view token, std::vector<std::string> const& filters,
                       Now const& now) { return why_not_read(token, filters, now); }};
    }

    /// Of a replay over MQTT: whoever has this token needs the same scopes as over HTTP.
    std::string why_not_read(std::string_view token, std::vector<std::string> const& filters,
                             Now const& now) {
        if (access_.is_open()) return {};
        auto who = access_.identify(fmt::format("Bearer {}", token), now.wall);
        auto const* identity = std::get_if<Identity>(&who);
        if (identity == nullptr) return "\"token\" is missing, or is no good token or key";
        for (auto const& filter : filters) {
            if (auto problem = check_reader(*identity, filter)) return problem->detail;
        }
        return {};
    }

    std::uint64_t random() { return random_words_(); }

    void wake_at(SteadyTime when) {
        timer_.expires_at(when);
        timer_.async_wait([this](error_code error) {
            if (!error) service_.on_timer();
        });
    }

    void handle(HttpRequest const& request, Respond respond) {
        if (!spdlog::should_log(spdlog::level::trace)) {
            return api_.handle(request, std::move(respond));
        }
        auto line = fmt::format("{} {:?}", request.method, request.target);
        api_.handle(request, [line, respond = std::move(respond)](HttpResponse response) {
            spdlog::trace("{} {}", line, response.status);
            respond(std::move(response));
        });
    }

    void await_signal() {
        signals_.async_wait([this](error_code error, int number) {
            if (error) return;
            if (std::exchange(stopping_, true)) std::_Exit(1);
            spdlog::info("stopping on {}", number == SIGINT ? "SIGINT" : "SIGTERM");
            stop();
            await_signal();
        });
    }

    void await_hangup() {
        hangups_.async_wait([this](error_code error, int) {
            if (error) return;
            reload();
            await_hangup();
        });
    }

    /// Keys and certificate as their files are now; what cannot be read changes nothing.
    void reload() {
        try {
            access_.replace(load_keys(auth_));
            spdlog::info("the keys were read again");
        } catch (std::exception const& error) {
            spdlog::error("the keys stay as they were: {}", error.what());
        }
        try {
            server_.reload_certificate();
        } catch (std::exception const& error) {
            spdlog::error("the certificate stays as it was: {}", error.what());
        }
    }

    /// No new request; what waits for a command is answered with its record as it is; the broker is
    /// told; then the loop has nothing left to do.
    void stop() {
        constexpr std::chrono::seconds kPatience{3};
        stop_timer_.expires_after(kPatience);
        stop_timer_.async_wait([this](error_code error) {
            if (!error) context_.stop();
        });
        hangups_.cancel();
        service_.drain();
        webhooks_.stop();
        api_.drain();
        uplink_.stop([this] { part_stopped(); });
        server_.stop([this] { part_stopped(); });
    }

    void part_stopped() {
        constexpr int kParts = 2;
        if (++stopped_parts_ < kParts) return;
        spdlog::info("stopped");
        context_.stop();
    }

    net::io_context context_{1};
    RandomWords random_words_{};
    Stores stores_;
    EventLog log_;
    MqttUplink uplink_;
    net::steady_timer timer_;
    Service service_;
    AuthConfig auth_;
    Access access_;
    Webhooks webhooks_;
    MqttRelay relay_;
    Api api_;
    HttpServer server_;
    net::signal_set signals_;
    net::signal_set hangups_;
    net::steady_timer stop_timer_;
    bool stopping_ = false;
    int stopped_parts_ = 0;
};

}  // namespace

int run(Loaded const& loaded) {
    try {
        set_up_log(loaded.config.log);
        raise_open_files_limit();
        Program program{loaded.config};
        program.run(loaded);
        return 0;
    } catch (std::exception const& error) {
        fmt::print(stderr, "spoke-bridge: {}\n", error.what());
        return 1;
    }
}

}  // namespace spoke::bridge
