#include "tests/support/script.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <iterator>
#include <utility>

#include "broker/core/restore.hpp"
#include "protocol/codec/decode.hpp"
#include "protocol/codec/framing.hpp"

namespace spoke::test {

namespace {

using broker::Link;
using broker::LinkState;
using broker::StoreTicket;

constexpr std::size_t kLoopsMax = 100'000;  // of one settle(): more is a loop that never rests

std::string at(boost::source_location where) {
    return fmt::format("{}:{}", where.file_name(), where.line());
}

}  // namespace

// --- FakeStore ---

struct FakeStore::Shard final : broker::ShardStore {
    explicit Shard(FakeStore& owner) : store(owner) {}

    [[nodiscard]] bool is_durable() const noexcept override { return true; }
    [[nodiscard]] broker::StoreHealth health() const noexcept override { return store.health_; }
    [[nodiscard]] broker::SessionNumber new_session_number() override {
        return broker::SessionNumber{++store.last_session_};
    }
    StoreTicket put_session(broker::StoredSession session) override {
        store.names_[session.number.value] = session.client_id;
        return store.note("put_session " + session.client_id);
    }
    StoreTicket remove_session(broker::SessionNumber session) override {
        return store.note("remove_session " + store.name_of(session));
    }
    StoreTicket put_subscription(broker::SessionNumber session, std::string_view filter,
                                 broker::StoredSubscription const&) override {
        return store.note(fmt::format("put_subscription {} {}", store.name_of(session), filter));
    }
    StoreTicket remove_subscription(broker::SessionNumber session,
                                    std::string_view filter) override {
        return store.note(fmt::format("remove_subscription {} {}", store.name_of(session), filter));
    }
    StoreTicket put_inbound(broker::SessionNumber session, mqtt::PacketId id) override {
        return store.note(fmt::format("put_inbound {} {}", store.name_of(session), id.value));
    }
    StoreTicket remove_inbound(broker::SessionNumber session, mqtt::PacketId id) override {
        return store.note(fmt::format("remove_inbound {} {}", store.name_of(session), id.value));
    }
    [[nodiscard]] broker::StoredAs reserve(std::uint32_t count) override {
        auto first = store.last_delivery_ + 1;
        store.last_delivery_ += count + 1;
        if (count == 1) return {broker::DeliveryNumber{first}, 0};
        return {broker::DeliveryNumber{first + 1}, 1};
    }
    StoreTicket put_message(broker::MessagePtr message,
                            std::span<broker::StoredDelivery const> deliveries) override {
        StoreTicket ticket;
        for (auto const& delivery : deliveries) {
            store.messages_[delivery.as.number.value] = message;
            ticket = store.note(fmt::format("put_delivery {} {}", store.name_of(delivery.session),
                                            message->topic()));
        }
        return ticket;
    }
    StoreTicket put_progress(broker::StoredDelivery const& delivery,
                             broker::StoredProgress const& progress) override {
        constexpr std::array kStates{"settled", "puback", "pubrec", "pubcomp"};
        return store.note(fmt::format("put_progress {} {} {}", store.name_of(delivery.session),
                                      progress.send_number,
                                      kStates.at(static_cast<std::size_t>(progress.state))));
    }
    StoreTicket remove_delivery(broker::SessionNumber session, broker::StoredAs as,
                                broker::Removal) override {
        store.messages_.erase(as.number.value);
        return store.note("remove_delivery " + store.name_of(session));
    }
    StoreTicket put_retained(std::string_view topic) override {
        return store.note(fmt::format("put_retained {}", topic));
    }
    void submit() override {}
    [[nodiscard]] StoreTicket last_ticket() const noexcept override {
        return StoreTicket{store.holds_ ? store.last_ : 0};
    }
    [[nodiscard]] StoreTicket durable() const noexcept override {
        return StoreTicket{store.durable_};
    }
    void read(broker::SessionRef asker, broker::SessionNumber,
              std::span<broker::StoredAs const> deliveries) override {
        for (broker::StoredAs as : deliveries) {
            auto found = store.messages_.find(as.number.value);
            answers.push_back(
                {asker, as.number, found == store.messages_.end() ? nullptr : found->second});
            ++store.read_count_;
        }
    }
    void take_loaded(std::vector<broker::LoadedMessage>& out) override {
        std::ranges::move(answers, std::back_inserter(out));
        answers.clear();
    }

    FakeStore& store;
    std::vector<broker::LoadedMessage> answers{};
};

FakeStore::FakeStore(std::uint8_t shards) {
    for (std::uint8_t i = 0; i < shards; ++i) shards_.push_back(std::make_unique<Shard>(*this));
}

FakeStore::~FakeStore() = default;

StoreTicket FakeStore::note(std::string call) {
    calls_.push_back(std::move(call));
    return holds_ ? StoreTicket{++last_} : broker::kNothingToWaitFor;
}

std::string FakeStore::name_of(broker::SessionNumber session) const {
    auto found = names_.find(session.value);
    return found == names_.end() ? "?" : found->second;
}

broker::ShardStore& FakeStore::of_shard(std::uint8_t shard) {
    return *shards_.at(shard);
}

bool FakeStore::has_answers() const noexcept {
    return std::ranges::any_of(shards_, [](auto const& shard) { return !shard->answers.empty(); });
}

// --- Shards ---

struct Script::ShardLoop final : broker::ShardPort {
    ShardLoop(Script& owner, std::uint8_t place)
        : script(owner),
          index(place),
          core(owner.options_.settings,
               {owner.index_, owner.retained_, owner.kept_, owner.store_of(place), owner.bus_,
                *this, place, owner.options_.shards, place + 1U},
               owner.now_) {}

    void flush_touched() override {
        auto& touched = core.touched();
        for (std::size_t i = 0; i < touched.size(); ++i) {
            if (auto* client = script.client_of(*touched[i])) script.flush(*client);
        }
    }
    [[nodiscard]] broker::Authenticator::Done when_authenticated(
        broker::AuthTicket ticket) override {
        return [this, ticket](broker::AuthVerdict verdict) {
            script.on_verdict(index, ticket, verdict);
        };
    }
    [[nodiscard]] bool logs(LogLevel) const override { return script.options_.keeps_log; }
    void log(LogLevel, std::string const& line) override { script.log_.push_back(line); }
    [[nodiscard]] std::string peer_of(Link const& link) const override {
        auto* client = script.client_of(link);
        return client != nullptr ? client->name() : "?";
    }

    Script& script;
    std::uint8_t index;
    broker::ShardCore core;
    StoreTicket durable{};  // as the loop knew it last
};

Script::Script(ScriptOptions options)
    : options_(std::move(options)),
      now_(options_.start),
      store_(options_.shards),
      reclaimer_(options_.shards),
      index_(reclaimer_),
      retained_(reclaimer_, options_.retained),
      kept_(options_.shards) {
    for (std::uint8_t i = 0; i < options_.shards; ++i) {
        reclaimer_.online(i);
        loops_.push_back(std::make_unique<ShardLoop>(*this, i));
    }
    if (options_.store != nullptr) restore();
}

broker::ShardStore& Script::store_of(std::uint8_t shard) {
    return options_.store != nullptr ? options_.store->of_shard(shard) : store_.of_shard(shard);
}

void Script::restore() {
    std::vector<broker::ShardCore*> cores;
    for (auto const& loop : loops_) cores.push_back(&loop->core);
    broker::Restore restore{std::move(cores), retained_, {&options_.link}, settings_of_gone_};
    options_.store->load(restore, now_.wall);
    restore.finish();
    options_.store->start(
        {.wake = [this](std::uint8_t) { store_woke_ = true; },
         .find_retained =
             [this](std::string_view topic) { return retained_.find(topic, now_.wall); }});
    settle();
}

Script::~Script() {
    for (auto& [name, client] : clients_) {
        if (client->is_open()) client->close();
    }
    for (std::uint8_t i = 0; i < options_.shards; ++i) reclaimer_.offline(i);
}

ScriptLink& Script::link(std::string const& name) {
    auto& client = clients_[name];
    if (!client) client = std::make_unique<ScriptLink>(*this, name);
    return *client;
}

broker::ShardCore& Script::core(std::uint8_t shard) {
    return loops_.at(shard)->core;
}

std::uint64_t Script::count(
    std::function<std::uint64_t(broker::Counters const&)> const& read) const {
    std::uint64_t sum = 0;
    for (auto const& loop : loops_) sum += read(loop->core.counters());
    return sum;
}

broker::DropCounters const& Script::dropped(std::uint8_t shard) const {
    return loops_.at(shard)->core.counters().dropped;
}

broker::Session* Script::session(std::string const& client_id) {
    auto home = broker::home_shard(client_id, options_.shards);
    return loops_[home]->core.sessions().find(client_id);
}

std::string Script::id_on_shard(std::uint8_t shard, std::string const& prefix) const {
    for (int i = 0;; ++i) {
        auto id = fmt::format("{}-{}", prefix, i);
        if (broker::home_shard(id, options_.shards) == shard) return id;
    }
}

void Script::pass(std::chrono::milliseconds time) {
    auto end = now_.steady + time;
    while (now_.steady < end) {
        auto step = std::chrono::ceil<std::chrono::milliseconds>(end - now_.steady);
        for (auto const& loop : loops_) {
            auto next = std::max(loop->core.until_next_timer(), std::chrono::milliseconds{1});
            step = std::min(step, next);
        }
        jump(step);
    }
}

void Script::jump(std::chrono::milliseconds time) {
    now_.steady += time;
    now_.wall += time;
    for (auto const& loop : loops_) loop->core.begin_turn(now_);
    settle();
}

void Script::becomes_durable(std::optional<std::uint64_t> ticket) {
    store_.becomes_durable(ticket.value_or(store_.last_ticket()));
    settle();
}

void Script::shut_down() {
    for (auto const& loop : loops_) loop->core.shut_down();
    settle();
}

void Script::settle() {
    if (settling_) return;
    settling_ = true;
    std::size_t loops = 0;
    for (bool busy = true; busy;) {
        if (++loops > kLoopsMax) fail("the loops never rest");
        busy = false;
        for (auto const& loop : loops_) busy = turn(*loop) || busy;
        if (!batches_held_) exchange_batches();
        for (auto const& loop : loops_) {
            auto durable = store_of(loop->index).durable();
            busy = std::exchange(loop->durable, durable) != durable || busy;
        }
        for (auto const& loop : loops_) {
            busy = busy || loop->core.has_work() || !loop->core.touched().empty();
        }
        busy = std::exchange(store_woke_, false) || busy || store_.has_answers();
    }
    // Whatever still pointed into what was read would be found by AddressSanitizer from here on.
    input_.clear();
    dead_.clear();
    settling_ = false;
}

bool Script::turn(ShardLoop& loop) {
    loop.core.begin_turn(now_);
    loop.core.on_store_news();
    read_on(loop);
    loop.core.on_timers();
    do {
        flush_touched(loop);
    } while (loop.core.publish_news());
    loop.core.submit();
    auto& arena = loop.core.writer().arena();
    std::size_t used = arena.size() - arena.room();
    arena.reset();
    std::memset(arena.free_space().data(), 0xEE, used);  // what still borrows it would show
    reclaimer_.quiescent(loop.index);
    return loop.core.has_work();
}

void Script::flush_touched(ShardLoop& loop) {
    auto& touched = loop.core.touched();
    for (std::size_t i = 0; i < touched.size(); ++i) {  // grows while it is walked
        Link& link = *touched[i];
        link.touched = false;
        ScriptLink* client = client_of(link);
        if (client == nullptr) continue;
        flush(*client);
        if (link.state == LinkState::closing && link.out.bytes() == 0) client->close();
    }
    touched.clear();
}

/// What came behind a CONNECT that was not answered yet.
void Script::read_on(ShardLoop& loop) {
    for (Link* link : std::exchange(loop.core.readable_again(), {})) {
        auto& client = *client_of(*link);
        receive(client, std::exchange(client.unread_, {}));
    }
}

void Script::exchange_batches() {
    for (std::uint8_t from = 0; from < options_.shards; ++from) {
        for (std::uint8_t to = 0; to < options_.shards; ++to) {
            broker::ShardBatch batch;
            std::swap(batch, loops_[from]->core.batch_for(to));
            if (!batch.empty()) loops_[to]->core.on_batch(batch);
        }
    }
}

void Script::pass_batches() {
    batches_held_ = false;
    settle();
}

void Script::flush(ScriptLink& client) {
    Link& link = *client.link_;
    auto& core = loops_[client.shard_]->core;
    std::array<iovec, 7> pieces;  // few, so that packets are cut between calls
    while (!client.socket_full_) {
        core.before_write(link);
        std::size_t count = link.out.gather(pieces);
        if (count == 0) break;
        std::size_t asked = 0;
        std::size_t written = 0;
        for (std::size_t i = 0; i < count; ++i) {
            auto const* from = static_cast<std::byte const*>(pieces[i].iov_base);
            std::size_t size = std::min(pieces[i].iov_len, client.room_ - written);
            client.raw_.insert(client.raw_.end(), from, from + size);
            written += size;
            asked += pieces[i].iov_len;
        }
        client.socket_full_ = written < asked;
        if (client.room_ != ScriptLink::kUnlimited) client.room_ -= written;
        core.on_written(link, written);
        if (link.out.empty()) core.on_drained(link);
    }
    if (!link.out.empty()) link.out.spill();
    client.on_received();
}

void Script::fail(std::string const& what) const {
    if (options_.fail) options_.fail(what);
    FAIL(what);
    std::abort();  // both throw
}

ScriptLink* Script::client_of(Link const& link) {
    auto found = by_link_.find(&link);
    return found == by_link_.end() ? nullptr : found->second;
}

void Script::open(ScriptLink& client) {
    client.link_ = std::make_unique<Link>();
    client.shard_ = client.accepting_shard_;
    client.room_ = ScriptLink::kUnlimited;
    client.socket_full_ = client.got_connack_ = client.got_disconnect_ = false;
    client.raw_.clear();
    client.unread_.clear();
    client.received_.clear();
    client.open_ids_.clear();
    client.packet_size_max_ = mqtt::kVariableByteIntegerMax + 5;
    by_link_[client.link_.get()] = &client;
    loops_[client.shard_]->core.on_accepted(
        *client.link_, client.settings_ != nullptr ? *client.settings_ : options_.link);
}

void Script::receive(ScriptLink& client, Buffer bytes) {
    bytes.insert(bytes.begin(), client.unread_.begin(), client.unread_.end());
    client.unread_.clear();
    input_.push_back(std::move(bytes));
    std::span<std::byte> rest = input_.back();
    while (!rest.empty() && client.is_open() && client.link_->state != LinkState::closing) {
        if (client.link_->awaits_verdict || client.link_->awaits_disk) {
            client.unread_.assign(rest.begin(), rest.end());
            break;
        }
        auto header = mqtt::read_fixed_header(rest, client.link_->settings->packet_size_max);
        if (!header) {
            loops_[client.shard_]->core.on_bad_bytes(*client.link_, header.error());
            break;
        }
        if (!*header || (*header)->packet_size() > rest.size()) break;
        auto frame = rest.first((*header)->packet_size());
        rest = rest.subspan(frame.size());
        if (client.link_->state == LinkState::connected) {
            loops_[client.shard_]->core.on_packet(*client.link_, frame);
        } else {
            handle_first(client, frame);
        }
    }
    settle();
}

void Script::handle_first(ScriptLink& client, std::span<std::byte> frame) {
    auto& core = loops_[client.shard_]->core;
    if (auto checked = core.admit(*client.link_, frame)) on_admitted(client, std::move(*checked));
}

void Script::on_admitted(ScriptLink& client, broker::CheckedConnect connect) {
    auto home = broker::home_shard(connect.packet.client_id, options_.shards);
    if (home != client.shard_) {
        loops_[client.shard_]->core.forget(*client.link_);
        client.shard_ = home;
    }
    loops_[home]->core.on_connect(*client.link_, std::move(connect));
}

void Script::on_verdict(std::uint8_t shard, broker::AuthTicket ticket,
                        broker::AuthVerdict verdict) {
    auto admitted = loops_[shard]->core.on_authenticated(ticket, verdict);
    if (admitted) {
        auto& client = *client_of(*admitted->link);
        on_admitted(client, std::move(admitted->connect));
        receive(client, std::exchange(client.unread_, {}));
    }
    settle();
}

// --- ScriptLink ---

ScriptLink::ScriptLink(Script& script, std::string name)
    : script_(script), name_(std::move(name)) {}

ScriptLink::~ScriptLink() = default;

ScriptLink& ScriptLink::on_shard(std::uint8_t shard) noexcept {
    accepting_shard_ = shard;
    return *this;
}

ScriptLink& ScriptLink::through(broker::LinkSettings const& settings) noexcept {
    settings_ = &settings;
    return *this;
}

ScriptLink& ScriptLink::opens() {
    if (is_open()) drops();
    script_.open(*this);
    return *this;
}

Buffer ScriptLink::prepare(ConnectBuilder const& connect) {
    if (!is_open()) opens();
    mqtt::Connect packet = connect.packet();
    if (!connect.id_given()) packet.client_id = name_;
    note_sent(packet);
    Buffer bytes;
    mqtt::encode(packet, bytes);
    return bytes;
}

ScriptLink& ScriptLink::sends(ConnectBuilder const& connect) {
    return sends_bytes(prepare(connect));
}

void ScriptLink::note_sent(mqtt::Packet const& packet) {
    auto* connect = std::get_if<mqtt::Connect>(&packet);
    if (connect != nullptr) version_ = connect->version;
    if (connect != nullptr && !got_connack_) {
        packet_size_max_ = connect->maximum_packet_size.value_or(packet_size_max_);
        receive_maximum_ = connect->receive_maximum.value_or(65'535);
    }
    if (auto* puback = std::get_if<mqtt::PubAck>(&packet)) open_ids_.erase(puback->id.value);
    if (auto* pubcomp = std::get_if<mqtt::PubComp>(&packet)) open_ids_.erase(pubcomp->id.value);
    auto* pubrec = std::get_if<mqtt::PubRec>(&packet);
    if (pubrec != nullptr && mqtt::is_error(pubrec->reason)) open_ids_.erase(pubrec->id.value);
}

Buffer ScriptLink::encoded(mqtt::Packet const& packet) {
    note_sent(packet);
    Buffer bytes;
    mqtt::encode(packet, version_, bytes);
    return bytes;
}

ScriptLink& ScriptLink::sends_bytes(Buffer bytes) {
    if (!is_open()) opens();
    script_.receive(*this, std::move(bytes));
    return *this;
}

ScriptLink& ScriptLink::drops() {
    if (!is_open()) script_.fail(fmt::format("'{}' is closed", name_));
    close();
    received_.clear();
    script_.settle();
    return *this;
}

void ScriptLink::close() {
    script_.loops_[shard_]->core.on_closed(*link_);
    script_.by_link_.erase(link_.get());
    script_.dead_.push_back(std::move(link_));  // the core's list of touched links may name it
}

ScriptLink& ScriptLink::socket_takes(std::size_t bytes) {
    if (!is_open()) script_.fail(fmt::format("'{}' is closed", name_));
    room_ = bytes;
    socket_full_ = bytes == 0;
    script_.loops_[shard_]->core.touch(*link_);
    script_.settle();
    return *this;
}

ScriptLink& ScriptLink::expects(Expected const& expected, Where where) {
    if (received_.empty()) {
        FAIL(at(where) << ": '" << name_ << "' expects " << expected.text << " but got nothing"
                       << (is_open() ? "" : ", and the connection is closed"));
    }
    auto packet = take(where);
    if (!expected.matches(packet)) fail(expected.text, packet, where);
    CHECK(true);  // an expectation met counts as an assertion
    return *this;
}

ScriptLink& ScriptLink::gets_nothing(Where where) {
    if (!received_.empty()) fail("nothing", received_.front().packet, where);
    if (!is_open()) FAIL(at(where) << ": '" << name_ << "' is closed");
    CHECK(true);
    return *this;
}

ScriptLink& ScriptLink::closes(Where where) {
    if (!received_.empty()) fail("the end of the connection", received_.front().packet, where);
    if (is_open()) FAIL(at(where) << ": '" << name_ << "' is still open");
    CHECK(true);
    return *this;
}

mqtt::Packet ScriptLink::take(Where where) {
    if (received_.empty()) FAIL(at(where) << ": '" << name_ << "' got nothing");
    auto received = std::move(received_.front());
    received_.pop_front();
    last_frame_ = std::move(received.frame);
    return std::move(received.packet);
}

void ScriptLink::fail(std::string const& what, mqtt::Packet const& packet, Where where) const {
    FAIL(at(where) << ": '" << name_ << "' expects " << what << " but got " << describe(packet));
    std::abort();  // FAIL throws
}

void ScriptLink::on_received() {
    std::size_t done = 0;
    for (;;) {
        Bytes rest = Bytes{raw_}.subspan(done);
        auto header = mqtt::read_fixed_header(rest, mqtt::kVariableByteIntegerMax + 5);
        if (!header) {
            script_.fail(fmt::format("the broker sends to '{}' what is not MQTT", name_));
        }
        if (!*header || (*header)->packet_size() > rest.size()) break;
        auto frame = rest.first((*header)->packet_size());
        auto packet = mqtt::decode(frame, link_->version, mqtt::Sender::server);
        if (!packet) {
            script_.fail(fmt::format("the broker sends to '{}' a packet that breaks {}", name_,
                                     packet.error().rule));
        }
        received_.push_back({std::move(*packet), Buffer(frame.begin(), frame.end())});
        check(received_.back());
        done += frame.size();
    }
    raw_.erase(raw_.begin(), raw_.begin() + static_cast<std::ptrdiff_t>(done));
}

void ScriptLink::check(Received const& received) {
    bool connack = std::holds_alternative<mqtt::ConnAck>(received.packet);
    if (!got_connack_ && std::holds_alternative<mqtt::Auth>(received.packet)) return;
    if (connack == got_connack_) {
        script_.fail(fmt::format("'{}' gets {}{}", name_, describe(received.packet),
                                 connack ? " a second time" : " before CONNACK"));
    }
    got_connack_ = true;
    if (got_disconnect_) {
        script_.fail(
            fmt::format("'{}' gets {} behind DISCONNECT", name_, describe(received.packet)));
    }
    got_disconnect_ = std::holds_alternative<mqtt::Disconnect>(received.packet);
    if (auto* publish = std::get_if<mqtt::Publish>(&received.packet)) check_open(*publish);
    if (received.frame.size() > packet_size_max_) {
        script_.fail(fmt::format("'{}' gets {} bytes, above its maximum of {}: {}", name_,
                                 received.frame.size(), packet_size_max_,
                                 describe(received.packet)));
    }
}

void ScriptLink::check_open(mqtt::Publish const& packet) {
    if (packet.qos == qos0 || !script_.options_.checks_window) return;
    if (!open_ids_.insert(packet.id.value).second) {
        script_.fail(fmt::format("'{}' gets an id that is open a second time: {}", name_,
                                 describe(mqtt::Packet{packet})));
    }
    if (open_ids_.size() > receive_maximum_) {
        script_.fail(
            fmt::format("'{}' gets more than its receive maximum of {}", name_, receive_maximum_));
    }
}

std::vector<mqtt::Publish> answer_all(ScriptLink& link, std::size_t most) {
    std::vector<mqtt::Publish> publishes;
    for (; most > 0 && link.waiting() > 0; --most) {
        auto packet = link.takes_any();
        if (auto* publish = std::get_if<mqtt::Publish>(&packet)) {
            if (publish->qos == qos1) link.sends(puback(publish->id.value));
            if (publish->qos == qos2) link.sends(pubrec(publish->id.value));
            publishes.push_back(std::move(*publish));
        } else if (auto* pubrel = std::get_if<mqtt::PubRel>(&packet)) {
            link.sends(pubcomp(pubrel->id.value));
        } else {
            FAIL("'" << link.name() << "' gets " << describe(packet) << " among publishes");
        }
    }
    return publishes;
}

}  // namespace spoke::test
