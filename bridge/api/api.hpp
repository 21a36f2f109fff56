#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bridge/access/access.hpp"
#include "bridge/access/rate_limiter.hpp"
#include "bridge/access/short_tokens.hpp"
#include "bridge/api/event_polls.hpp"
#include "bridge/api/event_streams.hpp"
#include "bridge/api/hook_request.hpp"
#include "bridge/api/http_message.hpp"
#include "bridge/api/http_metrics.hpp"
#include "bridge/api/mqtt_relay.hpp"
#include "bridge/api/parameters.hpp"
#include "bridge/api/problem.hpp"
#include "bridge/api/target.hpp"
#include "bridge/service/publish_keys.hpp"
#include "bridge/service/service.hpp"

namespace spoke::bridge {

/// What a route asks of its caller.
enum class Right : std::uint8_t {
    none,  // open to everybody
    devices_read,
    devices_write,
    command,      // "command:" of the verb, which the handler knows
    events,       // "events:" with filters that cover those in the query
    publish,      // "publish:" with a filter that covers the topic in the path
    inbox,        // "inbox:" of the name in the path
    inbox_write,  // "inbox:write"
    anybody,      // whoever has credentials
    audit,
    admin,
};

/// The HTTP API without HTTP: whole requests in, whole responses out, now or when what they wait
/// for has happened. Decides who asks, whether he may and how often, before any handler is called.
/// The service, the access and the hooks outlive it.
/// Errors  as responses: problems, all of which mean that nothing was sent.
/// Bound   one bucket per caller, `buckets_max`.  Thread  the service's.
class Api {
public:
    struct Settings {
        RatePolicy per_caller{};   // of a token's subject or an API key
        RatePolicy per_address{};  // of an address that sends no good credentials
        std::size_t buckets_max = 100'000;
        HookRules hooks{};
        EventStreams::Limits events{};
        bool examples = false;                    // whether /examples/ is there
        std::size_t tokens_max = 10'000;          // short-lived ones that are not used yet
        std::chrono::seconds token_ttl{60};       // of one whose maker does not say
        std::chrono::seconds token_ttl_max{300};  // of any
        /// Answers GET /mqtt; empty: there is no such path.
        std::function<void(HttpRequest const& request, Respond respond)> mqtt_relay{};
        std::function<MqttRelay::Counters()> mqtt_relay_counters{};  // where there is one
    };

    Api(Service& service, Access& access, Hooks& hooks, Settings settings);

    void handle(HttpRequest const& request, Respond respond);

    /// The same for somebody who has said before who he is.
    void handle_as(Identity const& who, HttpRequest const& request, Respond respond);

    /// Answers all requests that wait for events: the bridge stops.
    void drain() { polls_.drain(); }

    [[nodiscard]] HttpMetrics& metrics() noexcept { return metrics_; }

    /// "GET /v1/devices/{id}" for each route, as the OpenAPI document names it.
    struct RouteName {
        std::string_view method;
        std::string_view pattern;
        Right right;
        bool takes_token = false;  // a short-lived one, as ?token=
    };
    [[nodiscard]] static std::vector<RouteName> route_names();

private:
    /// A request on its way to a handler: the variable parts of its path in order.
    struct Call {
        HttpRequest const& request;
        Target const& target;
        std::vector<std::string> parts{};
        Identity who{};
        Respond respond{};
        std::optional<std::string> token{};  // ?token=, where the route takes one

        [[nodiscard]] Caller caller() const { return {who.by, request.trace, request.address}; }
        void refuse(Problem const& problem) const { respond(to_response(problem)); }
    };

    struct Route {
        std::string_view method;
        std::string_view
            pattern;  // "{id}" stands for one segment, "{topic...}" for all that follow
        Right right;
        void (Api::*handler)(Call call);
        bool takes_token = false;
    };

    static std::span<Route const> routes();
    static bool match(std::string_view pattern, Target const& target,
                      std::vector<std::string>& parts);

    Respond measured(Respond respond);
    void no_route(std::vector<std::string_view> const& methods, HttpRequest const& request,
                  Respond const& respond) const;
    void admit(Route const& route, Call call);
    void admit_caller(Route const& route, Call call);
    std::variant<Identity, AccessError> identify(Call const& call);
    void route(HttpRequest const& request, Respond respond,
               void (Api::*admission)(Route const& route, Call call), Identity const& who);
    static std::optional<Problem> check_right(Route const& route, Call const& call);
    ShortTokens& short_tokens();
    void unauthorized(AccessError error, Call const& call);

    // One for each route.
    void healthz(Call call);
    void readyz(Call call);
    void show_metrics(Call call);
    void show_openapi(Call call);
    void show_problem(Call call);
    void find_examples(Call call);
    void show_example(Call call);
    void read_events(Call call);
    void list_devices(Call call);
    void show_device(Call call);
    void put_device(Call call);
    void patch_device(Call call);
    void delete_device(Call call);
    void list_commands(Call call);
    void post_command(Call call);
    void show_command(Call call);
    void cancel_command(Call call);
    void publish(Call call);
    void request(Call call);
    void audit(Call call);
    void list_hooks(Call call);
    void show_hook(Call call);
    void put_hook(Call call);
    void delete_hook(Call call);
    void list_deliveries(Call call);
    void resend_delivery(Call call);
    void show_inbox(Call call);
    void list_inbox(Call call);
    void put_messages(Call call);
    void read_inbox(Call call);
    void make_token(Call call);
    void open_mqtt(Call call);

    std::optional<Problem> locate(std::string_view cursor, std::string const& who,
                                  std::uint64_t& out);
    void read_upto(std::string const& who, std::string_view cursor, Respond respond);

    /// Until when the request may be held: what it was let in with ends some time.
    [[nodiscard]] SteadyTime held_until(Call const& call, WaitWish const& wish) const;
    [[nodiscard]] std::optional<Problem> check_key(mqtt::Publish const& message,
                                                   std::string const& key) const;

    void open_stream(Call const& call, EventsWish wish,
                     std::variant<std::uint64_t, CursorProblem> const& place);
    void open_socket(Call const& call, EventsWish const& wish);
    void hold(Call const& call, CommandWait wait);
    void hold_order(Call const& call, CommandTracker::Accepted accepted, WaitWish const& wish);
    HttpResponse refuse(Refusal refusal, CommandRequest const& request) const;
    HttpResponse refuse_offline(std::string const& device) const;
    HttpResponse refuse_precondition(std::string const& device) const;

    /// A request that changes the record of a device, for when its turn has come.
    struct RecordCall {
        std::string id;
        HttpRequest request{};  // its conditions alone
        Caller caller{};
        Respond respond{};
    };
    using RecordChange = std::function<void(DeviceRecord& record)>;
    static RecordCall record_call(Call const& call);
    void change_record(RecordCall call, std::function<void(RecordCall const&)> change);
    void run_change(std::string const& id);
    void record_done(std::string id);
    void store_record(RecordCall call, RecordChange change);
    void answer_stored(RecordCall const& call, bool stored, bool is_new);
    [[nodiscard]] DeviceRecord const* record_of(std::string const& id) const;
    void finish_cancel(Call const& call, Command const& command, CancelOutcome const& outcome,
                       WaitWish const& wish);

    Service& service_;  // outlives the API
    Access& access_;    // outlives the API
    Hooks& hooks_;      // outlives the API
    Settings settings_;
    ShortTokens short_tokens_;
    std::uint64_t keys_generation_ = 0;  // those that let the makers of these tokens in
    PublishKeys publish_keys_;
    RateLimiter limiter_;
    HttpMetrics metrics_;
    EventStreams streams_;
    EventPolls polls_;
    static constexpr std::size_t kChangesMax = 64;
    /// Changes of a record, kChangesMax at most; the first is under way.
    std::map<std::string, std::deque<std::function<void()>>> changes_;
};

/// The problem of credentials that do not cover a request.
[[nodiscard]] Problem scope_problem(std::string needs);
[[nodiscard]] Problem other_device_problem(std::string device);

/// Whether the broker and the bridge can take a message now; the problem if not.
[[nodiscard]] std::optional<Problem> not_sending(Service const& service);

}  // namespace spoke::bridge
