#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "broker/storage/reference_store.hpp"
#include "broker/storage/volatile_store.hpp"
#include "tests/model/action.hpp"
#include "tests/model/model.hpp"
#include "tests/support/script.hpp"

namespace spoke::model {

/// The broker and the model do not agree.
struct Disagreement : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// Does the actions of a sequence to the real core and to the model, and compares them after each.
class Player {
public:
    static constexpr int kClients = 4;
    static constexpr int kLinks = 2 * kClients;  // two for each client id
    static constexpr int kLimits = 7;            // tables of limits
    static constexpr int kStores = 5;
    static constexpr int kPolicies = 4;  // at a full queue
    static constexpr int kSettings = kLimits * kStores * kPolicies;

    explicit Player(int setting);
    ~Player();
    /// Throws Disagreement.
    void play(Action const& action);
    /// All sessions end; nothing may be left of them. Throws Disagreement.
    void finish();

    /// What was done so far, line by line.
    [[nodiscard]] std::string trace() const;

private:
    void start(Now now);
    void connect(LinkId link, Action const& action);
    void subscribe(LinkId link, Action const& action);
    void unsubscribe(LinkId link, Action const& action);
    void publish(LinkId link, Action const& action);
    void publish_several(LinkId link, Action const& action);
    void answer(LinkId link, Action const& action);
    void release(LinkId link, Action const& action);
    void odd_answer(LinkId link, Action const& action);
    void disconnect(LinkId link, Action const& action);
    void cut(LinkId link);
    void restart(Action const& action);
    void await_restart();
    [[nodiscard]] LinkId in_the_way_of_restart() const;
    void hold_store(Action const& action);
    /// What was held back becomes durable, and what comes next at once.
    void let_go();
    [[nodiscard]] bool may_be_held(LinkId link, Action const& action) const;
    [[nodiscard]] SeenStore observe_store(Now now);
    [[nodiscard]] Model stored_model(SeenStore const& seen) const;
    [[nodiscard]] mqtt::Publish any_publish(LinkId link, Action const& action);
    [[nodiscard]] mqtt::Will any_will(Action const& action);
    [[nodiscard]] std::string next_payload(int size_class);

    [[nodiscard]] LinkId connected_from(LinkId link) const;
    [[nodiscard]] test::ScriptLink& real(LinkId link);
    [[nodiscard]] static std::string client_of(LinkId link);
    [[nodiscard]] static std::string name_of(LinkId link);
    void pass(Millis time);
    /// Each client acts and times out at moments of its own, so that no two clients do anything at
    /// the same time, where the order would be nobody's business.
    void await_turn_of(LinkId link);
    void await_phase(Millis phase);

    void send(LinkId link, std::vector<mqtt::Packet> const& packets);
    template <class Real, class Event>
    void step(std::string text, Real&& do_it, Event&& tell, bool is_open = false);
    [[nodiscard]] Seen observe();
    [[nodiscard]] static Copies copies_of(Seen const& seen);
    [[nodiscard]] SeenSession observe_session(broker::Session const& session);
    [[nodiscard]] SeenDelivery observe_delivery(broker::Session const& session,
                                                broker::Delivery const& delivery);
    template <class Delivery>
    [[nodiscard]] SeenDelivery observe_delivery(broker::MessagePtr const& message,
                                                Delivery const& delivery);
    [[nodiscard]] broker::MessagePtr read(broker::SessionNumber session, broker::StoredAs as);
    void note(std::string text);

    int setting_;
    Rules rules_;
    Model model_;
    std::uint64_t wills_before_ = 0;
    broker::ReferenceStore durable_store_;
    broker::VolatileStore volatile_store_;
    std::unique_ptr<test::Script> script_;
    bool holds_ = false;
    std::vector<Model> history_;  // since the store holds, after each event
    int payloads_ = 0;
    std::vector<std::string> trace_;
};

}  // namespace spoke::model
