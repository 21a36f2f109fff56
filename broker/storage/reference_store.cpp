#include "broker/storage/reference_store.hpp"

#include <atomic>
#include <utility>

#include "broker/storage/copy_delivery.hpp"
#include "protocol/base/assert.hpp"

namespace spoke::broker {
namespace {

using MessageKey = std::pair<std::uint64_t, std::uint64_t>;

MessageKey message_key_of(SessionNumber session, StoredAs as) {
    return {as.owns_message() ? session.value : 0, as.number.value - as.message_back};
}

}  // namespace

/// What is durable.
struct ReferenceStore::Data {
    struct Delivery {
        StoredDelivery delivery{};
        std::optional<StoredProgress> progress{};
    };
    struct Body {
        MessagePtr message{};
        std::size_t deliveries = 0;
    };

    std::map<std::uint64_t, StoredSession> sessions{};
    std::map<std::pair<std::uint64_t, std::string>, StoredSubscription> subscriptions{};
    std::set<std::pair<std::uint64_t, mqtt::PacketId>> inbound{};
    std::map<std::pair<std::uint64_t, std::uint64_t>, Delivery> deliveries{};
    std::map<MessageKey, Body> messages{};
    std::map<std::string, MessagePtr, std::less<>> retained{};

    void put(MessagePtr const& message, StoredDelivery const& delivery) {
        std::pair place{delivery.session.value, delivery.as.number.value};
        auto& body = messages[message_key_of(delivery.session, delivery.as)];
        body.message = message;
        auto [stored, is_new] = deliveries.try_emplace(place);
        stored->second.delivery = copy_of(delivery);
        stored->second.progress.reset();
        if (is_new) ++body.deliveries;
    }
    void remove(SessionNumber session, StoredAs as) {
        auto found = deliveries.find({session.value, as.number.value});
        if (found == deliveries.end()) return;
        auto body = messages.find(message_key_of(session, found->second.delivery.as));
        deliveries.erase(found);
        if (body != messages.end() && --body->second.deliveries == 0) messages.erase(body);
    }
    void drop_orphans() {
        auto is_orphan = [&](auto const& entry) { return !sessions.contains(entry.first.first); };
        std::erase_if(subscriptions, is_orphan);
        std::erase_if(inbound, [&](auto const& id) { return !sessions.contains(id.first); });
        std::vector<std::pair<SessionNumber, StoredAs>> orphans;
        for (auto const& entry : deliveries) {
            auto const& delivery = entry.second.delivery;
            if (is_orphan(entry)) orphans.emplace_back(delivery.session, delivery.as);
        }
        for (auto const& [session, as] : orphans) remove(session, as);
    }
};

class ReferenceStore::Shard final : public ShardStore {
public:
    Shard(ReferenceStore& store, std::uint8_t shard) : store_(store), shard_(shard) {}

    bool is_durable() const noexcept override { return true; }
    StoreHealth health() const noexcept override { return store_.health_; }

    SessionNumber new_session_number() override { return SessionNumber{++store_.last_session_}; }
    StoreTicket put_session(StoredSession session) override {
        return add([session = std::move(session)](Data& data) {
            data.sessions.insert_or_assign(session.number.value, session);
        });
    }
    StoreTicket remove_session(SessionNumber session) override {
        return add([session](Data& data) { data.sessions.erase(session.value); });
    }
    StoreTicket put_subscription(SessionNumber session, std::string_view filter,
                                 StoredSubscription const& subscription) override {
        return add([place = std::pair{session.value, std::string{filter}}, subscription](
                       Data& data) { data.subscriptions.insert_or_assign(place, subscription); });
    }
    StoreTicket remove_subscription(SessionNumber session, std::string_view filter) override {
        return add([place = std::pair{session.value, std::string{filter}}](Data& data) {
            data.subscriptions.erase(place);
        });
    }
    StoreTicket put_inbound(SessionNumber session, mqtt::PacketId id) override {
        return add([session, id](Data& data) { data.inbound.emplace(session.value, id); });
    }
    StoreTicket remove_inbound(SessionNumber session, mqtt::PacketId id) override {
        return add([session, id](Data& data) { data.inbound.erase({session.value, id}); });
    }

    StoredAs reserve(std::uint32_t count) override {
        MQ_ASSERT(count > 0);
        if (count == 1) return {DeliveryNumber{++store_.last_number_}, 0};
        auto before = store_.last_number_.fetch_add(count + 1);
        return {DeliveryNumber{before + 2}, 1};
    }
    StoreTicket put_message(MessagePtr message,
                            std::span<StoredDelivery const> deliveries) override {
        auto copies = std::make_shared<std::vector<StoredDelivery>>();
        for (auto const& delivery : deliveries) copies->push_back(copy_of(delivery));
        return add([message = std::move(message), copies](Data& data) {
            for (auto const& delivery : *copies) data.put(message, delivery);
        });
    }
    StoreTicket put_progress(StoredDelivery const& delivery,
                             StoredProgress const& progress) override {
        auto kept = std::make_shared<StoredDelivery>(copy_of(delivery));
        return add([kept, progress](Data& data) {
            auto found = data.deliveries.find({kept->session.value, kept->as.number.value});
            if (found == data.deliveries.end()) return;
            found->second.delivery = copy_of(*kept);
            found->second.progress = progress;
        });
    }
    StoreTicket remove_delivery(SessionNumber session, StoredAs as, Removal) override {
        return add([session, as](Data& data) { data.remove(session, as); });
    }
    StoreTicket put_retained(std::string_view topic) override {
        return add([this, topic = std::string{topic}](Data& data) {
            auto message = store_.outside_.find_retained(topic);
            if (message) {
                data.retained.insert_or_assign(topic, std::move(message));
            } else {
                data.retained.erase(topic);
            }
        });
    }

    void submit() override {
        if (changes_.empty()) return;
        ++submitted_.value;
        store_.submit({shard_, submitted_, std::exchange(changes_, {})});
    }
    StoreTicket last_ticket() const noexcept override {
        return StoreTicket{submitted_.value + (changes_.empty() ? 0 : 1)};
    }
    StoreTicket durable() const noexcept override { return StoreTicket{durable_}; }

    void read(SessionRef asker, SessionNumber session,
              std::span<StoredAs const> deliveries) override {
        {
            std::lock_guard lock{store_.mutex_};
            for (auto as : deliveries) asked_.push_back({asker, session, as});
            answer();
        }
        if (!deliveries.empty()) store_.wake({shard_});
    }
    void take_loaded(std::vector<LoadedMessage>& out) override {
        std::lock_guard lock{store_.mutex_};
        std::move(loaded_.begin(), loaded_.end(), std::back_inserter(out));
        loaded_.clear();
    }

    /// With the store's mutex: what is not there may be among what is held back.
    bool answer() {
        auto before = loaded_.size();
        while (!asked_.empty()) {
            auto const& asked = asked_.front();
            auto message = store_.message_of(asked.session, asked.as);
            if (!message && !store_.held_.empty()) break;
            loaded_.push_back({asked.asker, asked.as.number, std::move(message)});
            asked_.pop_front();
        }
        return loaded_.size() > before;
    }

    void set_durable(StoreTicket ticket) noexcept { durable_ = ticket.value; }
    void forget() {
        changes_.clear();
        asked_.clear();
        loaded_.clear();
        durable_ = submitted_.value;
    }

private:
    StoreTicket add(Change change) {
        changes_.push_back(std::move(change));
        return last_ticket();
    }

    ReferenceStore& store_;  // owns this
    std::uint8_t shard_;
    std::vector<Change> changes_{};
    StoreTicket submitted_{};
    std::atomic<std::uint64_t> durable_{0};
    struct Asked {
        SessionRef asker{};
        SessionNumber session{};
        StoredAs as{};
    };
    std::deque<Asked> asked_{};  // under the store's mutex, as what follows
    std::vector<LoadedMessage> loaded_{};
};

ReferenceStore::ReferenceStore(std::uint64_t hash_seed)
    : hash_seed_(hash_seed), data_(std::make_unique<Data>()) {}

ReferenceStore::~ReferenceStore() = default;

ShardStore& ReferenceStore::of_shard(std::uint8_t shard) {
    std::lock_guard lock{mutex_};
    auto& place = shards_[shard];
    if (!place) place = std::make_unique<Shard>(*this, shard);
    return *place;
}

void ReferenceStore::load(StoreVisitor& visitor, WallTime now) {
    std::lock_guard lock{mutex_};
    data_->drop_orphans();
    for (auto const& entry : data_->sessions) visitor.on_session(entry.second);
    for (auto const& [place, subscription] : data_->subscriptions) {
        visitor.on_subscription(SessionNumber{place.first}, place.second, subscription);
    }
    for (auto const& [session, id] : data_->inbound) {
        visitor.on_inbound(SessionNumber{session}, id);
    }
    for (auto const& entry : data_->deliveries) {
        visitor.on_delivery(copy_of(entry.second.delivery), entry.second.progress);
    }
    std::erase_if(data_->retained,
                  [&](auto const& entry) { return entry.second->has_expired(now); });
    for (auto const& entry : data_->retained) visitor.on_retained(entry.second);
}

void ReferenceStore::start(Outside outside) {
    std::lock_guard lock{mutex_};
    outside_ = std::move(outside);
}

void ReferenceStore::stop() {
    release();
    crash();  // of what was never submitted
}

void ReferenceStore::hold() {
    std::lock_guard lock{mutex_};
    is_held_ = true;
}

void ReferenceStore::release() {
    std::set<std::uint8_t> to_wake;
    {
        std::lock_guard lock{mutex_};
        is_held_ = false;
        to_wake = apply_held(held_.size());
    }
    wake(to_wake);
}

void ReferenceStore::release_some(std::size_t count) {
    std::set<std::uint8_t> to_wake;
    {
        std::lock_guard lock{mutex_};
        to_wake = apply_held(count);
    }
    wake(to_wake);
}

void ReferenceStore::crash() {
    std::lock_guard lock{mutex_};
    held_.clear();
    is_held_ = false;
    for (auto& shard : shards_) {
        if (shard) shard->forget();
    }
    outside_ = {};
}

void ReferenceStore::lose_messages() {
    std::lock_guard lock{mutex_};
    data_->messages.clear();
}

void ReferenceStore::set_health(StoreHealth health) {
    health_ = health;
    std::set<std::uint8_t> all;
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        if (shards_[i]) all.insert(static_cast<std::uint8_t>(i));
    }
    wake(all);
}

std::size_t ReferenceStore::delivery_count() const {
    std::lock_guard lock{mutex_};
    return data_->deliveries.size();
}

std::size_t ReferenceStore::message_count() const {
    std::lock_guard lock{mutex_};
    return data_->messages.size();
}

std::size_t ReferenceStore::session_count() const {
    std::lock_guard lock{mutex_};
    return data_->sessions.size();
}

void ReferenceStore::submit(Submitted submitted) {
    std::set<std::uint8_t> to_wake;
    {
        std::lock_guard lock{mutex_};
        held_.push_back(std::move(submitted));
        if (!is_held_) to_wake = apply_held(held_.size());
    }
    wake(to_wake);
}

std::set<std::uint8_t> ReferenceStore::apply_held(std::size_t count) {
    std::set<std::uint8_t> shards;
    for (; count > 0 && !held_.empty(); --count) {
        auto& submitted = held_.front();
        for (auto& change : submitted.changes) change(*data_);
        shards_[submitted.shard]->set_durable(submitted.ticket);
        shards.insert(submitted.shard);
        held_.pop_front();
    }
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        if (shards_[i] && shards_[i]->answer()) shards.insert(static_cast<std::uint8_t>(i));
    }
    return shards;
}

void ReferenceStore::wake(std::set<std::uint8_t> const& shards) {
    if (!outside_.wake) return;
    for (auto shard : shards) outside_.wake(shard);
}

MessagePtr ReferenceStore::message_of(SessionNumber session, StoredAs as) const {
    auto found = data_->messages.find(message_key_of(session, as));
    return found == data_->messages.end() ? MessagePtr{} : found->second.message;
}

}  // namespace spoke::broker
