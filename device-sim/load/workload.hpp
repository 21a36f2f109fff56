#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "device-sim/load/client.hpp"
#include "device-sim/load/json_line.hpp"
#include "device-sim/load/reactor.hpp"
#include "device-sim/load/settings.hpp"

namespace spoke::sim::load {

/// How a run ended.
struct Outcome {
    JsonLine report;
    bool is_sound = true;  // nothing lost, duplicated, misrouted, refused or cut off
    bool generator_bound = false;
    bool contended = false;  // others had the cores meanwhile
};

/// What all modes share: it owns the loop and the connections, brings connections up at a bounded
/// pace, subscribes, runs the loop until something holds, and keeps account of what goes wrong with
/// connections. A mode derives from it and reads top to bottom in `run`. One thread.
class Workload : protected ClientEvents, protected TurnEnd {
public:
    virtual ~Workload() = default;
    Workload(Workload const&) = delete;
    Workload& operator=(Workload const&) = delete;

    /// Runs the mode once, from connecting to the report.
    /// Errors  throws LoadFailure if it cannot be brought to its measurement.
    virtual Outcome run() = 0;

protected:
    using Group = std::vector<Client*>;

    struct GroupSpec {
        std::string_view word;  // part of the client ids; the same word gives the same ids again
        std::uint32_t count = 1;
        bool clean_start = true;
        bool is_durable = false;  // its sessions outlive the connections
    };

    explicit Workload(Settings const& settings);

    /// Brings `count` clients up; their tags are 0, 1, ... Throws LoadFailure if one is refused or
    /// cut off.
    Group connect(GroupSpec const& spec);

    /// One filter for each client, all at once, then waits for the answers. Throws like `connect`.
    void subscribe(Group const& group,
                   std::function<std::string(std::uint32_t tag)> const& filter_of);

    /// Queues one SUBSCRIBE; `subscriptions_answered_` counts its filters when the answer is there.
    void send_subscribe(Client& client, std::vector<std::string> const& filters);

    /// Turns the loop until `is_done` holds or `limit` has passed.
    /// Out     whether it holds.
    bool run_until(std::chrono::nanoseconds limit, std::function<bool()> const& is_done);
    void run_for(double seconds);
    [[nodiscard]] static std::chrono::nanoseconds length_of(double seconds);

    /// Like run_until, in set-up phases: throws LoadFailure naming `what` when there is no progress
    /// in `progress` for 10 seconds, or when a connection is lost.
    void wait_for(std::string_view what, std::function<bool()> const& is_done,
                  std::function<std::uint64_t()> const& progress);

    static void leave(Group const& group);

    /// The report with all parameters in it.
    [[nodiscard]] JsonLine new_report() const;

    /// The window, or what the broker's receive maximum leaves of it.
    [[nodiscard]] std::uint32_t window_for_acknowledged() const noexcept;

    /// When the mode wants to be woken though nothing came in.
    [[nodiscard]] virtual SteadyTime next_wake() const { return SteadyTime::max(); }
    virtual void on_turn_end() override {}
    /// For what is measured of each turn.
    virtual void on_turn_measured(std::chrono::nanoseconds) {}
    virtual void on_client_up(Client&, mqtt::ConnAck const&) {}
    virtual void on_subscribed(Client&) {}
    void on_delivery(Client&, Delivery const&) override {}
    void on_acknowledged(Client&, Acknowledgement const&) override {}

    Settings const& settings_;
    Reactor reactor_;
    std::uint64_t clients_up_ = 0;
    std::uint64_t subscriptions_answered_ = 0;
    std::uint64_t disconnects_ = 0;
    std::string first_failure_;

private:
    void on_up(Client& client, mqtt::ConnAck const& answer) final;
    void on_suback(Client& client, mqtt::SubAck const& answer) final;
    void on_closed(Client& client, std::string_view why) final;

    void open(GroupSpec const& spec, Group& group);
    [[nodiscard]] mqtt::Connect connect_packet(GroupSpec const& spec, std::uint32_t index) const;
    void turn(SteadyTime deadline);
    void ping_the_silent();
    void throw_if_cut_off(std::string_view what) const;

    std::unique_ptr<ClientTls> tls_;
    Route route_;
    std::string run_id_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::uint16_t keep_alive_;
    std::uint16_t receive_maximum_ = 65'535;
    SteadyTime next_ping_{};
};

/// The workload of `settings.mode`; `settings` outlives it.
[[nodiscard]] std::unique_ptr<Workload> make_workload(Settings const& settings);

}  // namespace spoke::sim::load
