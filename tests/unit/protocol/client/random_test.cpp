// A machine against a model of a server, with cuts at any byte and answers at any time: what the
// protocol promises must hold in the end.
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <random>
#include <set>

#include "protocol/codec/framing.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/protocol/client/client_script.hpp"

using namespace spoke;
using namespace spoke::mqtt;
using namespace spoke::test;
using namespace std::chrono_literals;

namespace {

using Random = std::mt19937_64;

bool chance(Random& random, unsigned percent) {
    return random() % 100 < percent;
}

/// A server with one session, which answers late and resends as the specification says.
class ModelServer {
public:
    ModelServer(Version version, std::uint16_t receive_maximum, Random& random)
        : version_(version), receive_maximum_(receive_maximum), random_(random) {}

    void feed(Bytes bytes) {
        partial_.insert(partial_.end(), bytes.begin(), bytes.end());
        for (;;) {
            auto header = read_fixed_header(partial_, kVariableByteIntegerMax);
            REQUIRE(header.has_value());
            if (!header->has_value() || (*header)->packet_size() > partial_.size()) return;
            auto size = static_cast<std::ptrdiff_t>((*header)->packet_size());
            auto packet =
                decode(Bytes{partial_}.first((*header)->packet_size()), version_, Sender::client);
            REQUIRE(packet.has_value());
            partial_.erase(partial_.begin(), partial_.begin() + size);
            std::visit([this](auto const& value) { take(value); }, *packet);
        }
    }
    void cut() {
        partial_.clear();
        answers_.clear();
        open_.clear();
        connected_ = false;
    }
    /// Some of what the server has to say now.
    Buffer speak() {
        Buffer out;
        while (!answers_.empty() && chance(random_, 60)) {
            encode(answers_.front(), version_, out);
            answered(answers_.front());
            answers_.pop_front();
        }
        if (connected_ && answers_.empty() && sending_.size() < 5 && chance(random_, 20)) {
            send_new(out);
        }
        return out;
    }
    [[nodiscard]] bool is_quiet() const { return answers_.empty() && sending_.empty(); }

    std::map<std::string, int> received;  // payload, how often it was taken
    std::vector<std::string> order_of_first;
    std::map<std::string, Qos> sent;
    bool talks = true;

private:
    struct Sending {
        Publish packet;
        bool released = false;  // PUBREC came
    };

    void take(Connect const& packet) {
        CHECK_FALSE(packet.clean_start);
        answers_.push_back(ConnAck{.session_present = known_});
        if (version_ == Version::v5) {
            std::get<ConnAck>(answers_.back()).receive_maximum = receive_maximum_;
        }
        known_ = true;
        for (auto& sending : sending_) {
            if (sending.released) {
                answers_.push_back(PubRel{.id = sending.packet.id});
            } else {
                sending.packet.dup = true;
                answers_.push_back(sending.packet);
            }
        }
    }
    void take(Publish const& packet) {
        auto payload = std::string{as_text(packet.payload)};
        if (packet.qos == kQos0) return note(payload);
        open_.insert(packet.id.value);
        CHECK(open_.size() <= receive_maximum_);
        if (packet.qos == kQos1) {
            note(payload);
            answers_.push_back(PubAck{.id = packet.id});
        } else {
            if (held_.insert(packet.id.value).second) {
                CHECK_FALSE((packet.dup && received.contains(payload)));
                note(payload);
            }
            answers_.push_back(PubRec{.id = packet.id});
        }
    }
    void take(PubRel const& packet) {
        held_.erase(packet.id.value);
        answers_.push_back(PubComp{.id = packet.id});
    }
    void take(PubAck const& packet) { finish(packet.id); }
    void take(PubComp const& packet) { finish(packet.id); }
    void take(PubRec const& packet) {
        for (auto& sending : sending_) {
            if (sending.packet.id == packet.id) sending.released = true;
        }
        answers_.push_back(PubRel{.id = packet.id});
    }
    template <class Other>
    void take(Other const&) {
        FAIL("unexpected packet");
    }

    void note(std::string const& payload) {
        if (received[payload]++ == 0) order_of_first.push_back(payload);
    }
    void answered(Packet const& packet) {
        if (std::holds_alternative<ConnAck>(packet)) connected_ = true;
        if (auto const* puback = std::get_if<PubAck>(&packet)) open_.erase(puback->id.value);
        if (auto const* pubcomp = std::get_if<PubComp>(&packet)) open_.erase(pubcomp->id.value);
    }
    void finish(PacketId id) {
        std::erase_if(sending_, [&](Sending const& s) { return s.packet.id == id; });
    }
    void send_new(Buffer& out) {
        if (!talks) return;
        auto qos = chance(random_, 50) ? kQos1 : kQos2;
        do {
            next_id_ = static_cast<std::uint16_t>(next_id_ % 7 + 1);
        } while (std::ranges::any_of(
            sending_, [&](Sending const& s) { return s.packet.id.value == next_id_; }));
        auto payload = "s" + std::to_string(sent.size());
        sent[payload] = qos;
        sending_.push_back({message("down", payload, qos, next_id_)});
        encode(sending_.back().packet, version_, out);
    }

    Version version_;
    std::uint16_t receive_maximum_;
    Random& random_;
    Buffer partial_;
    std::deque<Packet> answers_;
    std::deque<Sending> sending_;
    std::set<std::uint16_t> held_;  // QoS 2 ids
    std::set<std::uint16_t> open_;  // QoS 1 and 2 of this connection without the last answer
    std::uint16_t next_id_ = 0;
    bool known_ = false;
    bool connected_ = false;
};

struct Sent {
    Qos qos{};
    PublishScope scope{};
};

/// One run: publishes, cuts and late acknowledgements until the script ends, then peace until all
/// is settled.
class Run {
public:
    Run(Version version, std::uint64_t seed)
        : random_(seed),
          script_(version, {.queue_messages_max = 100'000, .in_flight_max = kInFlightMax}),
          server_(version, receive_maximum(version, random_), random_) {}

    void go() {
        script_.app.acknowledges = Acknowledge::later;
        for (int step = 0; step < 1500; ++step) step_once(true);
        server_.talks = false;
        for (int step = 0; step < 5000 && !is_settled(); ++step) step_once(false);
        REQUIRE(is_settled());
        check();
    }

private:
    static constexpr std::uint16_t kInFlightMax = 20;

    static std::uint16_t receive_maximum(Version version, Random& random) {
        return version == Version::v5 ? static_cast<std::uint16_t>(1 + random() % 5) : kInFlightMax;
    }
    void step_once(bool rough) {
        if (script_.machine.is_closed()) {
            script_.app.closed.reset();
            wire_.clear();
            script_.opens();
        }
        if (rough && chance(random_, 30)) publish();
        acknowledge_some();
        if (chance(random_, 70)) move_up();
        if (chance(random_, 70)) move_down();
        if (rough && chance(random_, 3)) cut();
        REQUIRE((!script_.app.closed || script_.app.closed->cause == CloseCause::transport));
    }
    void publish() {
        auto token = sent_.size();
        auto qos = static_cast<Qos>(random_() % 3);
        auto scope = chance(random_, 30) ? PublishScope::this_connection : PublishScope::session;
        sent_.push_back({qos, scope});
        script_.publish(message("up", std::to_string(token), qos), token, scope);
    }
    void acknowledge_some() {
        for (auto const& seen : script_.app.take_messages()) {
            ++seen_[std::string{as_text(seen.packet.payload)}];
            pending_.push_back(seen.token);
        }
        while (!pending_.empty() && chance(random_, 50)) {
            auto index = static_cast<std::ptrdiff_t>(random_() % pending_.size());
            script_.machine.acknowledge(pending_[static_cast<std::size_t>(index)],
                                        ReasonCode::success, script_.now);
            pending_.erase(pending_.begin() + index);
        }
    }
    void move_up() {
        if (wire_.empty()) {
            script_.machine.take_output(wire_, script_.now);
        }
        auto size = std::min<std::size_t>(wire_.size(), 1 + random_() % 60);
        server_.feed(Bytes{wire_}.first(size));
        wire_.erase(wire_.begin(), wire_.begin() + static_cast<std::ptrdiff_t>(size));
        if (wire_.empty()) script_.machine.on_written();
    }
    void move_down() {
        auto bytes = server_.speak();
        auto half = bytes.empty() ? 0 : random_() % bytes.size();
        script_.gives_bytes(Bytes{bytes}.first(half));
        script_.gives_bytes(Bytes{bytes}.subspan(half));
    }
    void cut() {
        script_.drops();
        server_.cut();
        wire_.clear();
    }
    [[nodiscard]] bool is_settled() const {
        return script_.app.outcomes.size() == sent_.size() && server_.is_quiet() &&
               script_.machine.in_flight() == 0 && wire_.empty() && !script_.machine.has_output();
    }

    void check() const {
        std::set<std::uint64_t> told;
        for (auto const& outcome : script_.app.outcomes) {
            CHECK(told.insert(outcome.token).second);  // each publish has one outcome
            check_outcome(outcome);
        }
        for (auto const& [payload, qos] : server_.sent) {
            auto times = seen_.contains(payload) ? seen_.at(payload) : 0;
            CHECK(times >= 1);
            if (qos == kQos2) CHECK(times == 1);
        }
        check_order();
    }
    void check_outcome(Outcome const& outcome) const {
        auto payload = std::to_string(outcome.token);
        auto times = server_.received.contains(payload) ? server_.received.at(payload) : 0;
        auto const& sent = sent_[outcome.token];
        if (outcome.status == kAcknowledged) CHECK(times >= 1);
        if (outcome.status == kNotSent) CHECK(times == 0);
        bool once = sent.qos != kQos1 || sent.scope == PublishScope::this_connection;
        if (once) CHECK(times <= 1);
        if (sent.qos != kQos0 && sent.scope == PublishScope::session) {
            CHECK(outcome.status == kAcknowledged);
        }
    }
    // Messages of one QoS arrive first in the order in which they were published.
    void check_order() const {
        std::map<Qos, std::uint64_t> last;
        for (auto const& payload : server_.order_of_first) {
            auto token = std::stoull(payload);
            auto qos = sent_[token].qos;
            if (last.contains(qos)) CHECK(last[qos] < token);
            last[qos] = token;
        }
    }

    Random random_;
    ClientScript script_;
    ModelServer server_;
    Buffer wire_;  // taken from the machine, on its way
    std::vector<Sent> sent_;
    std::vector<AckToken> pending_;
    std::map<std::string, int> seen_;
};

}  // namespace

TEST_CASE("client: promises hold over random cuts and delays",
          "[client][v3.1.1][MQTT-4.4.0-1][MQTT-4.3.3-2][v5.0][MQTT-3.3.4-7][MQTT-4.3.3-10]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto first = seed_or(1);
    for (auto seed = first; seed < first + 20; ++seed) {
        INFO("SPOKE_SEED=" << seed);
        Run{version, seed}.go();
    }
}
