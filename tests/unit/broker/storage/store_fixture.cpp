#include "tests/unit/broker/storage/store_fixture.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <utility>

#include "broker/storage/reference_store.hpp"
#include "tests/unit/broker/storage/stored_samples.hpp"

namespace spoke::test {

using namespace broker;

namespace {

template <class Map, class Key>
std::string name_in(Map const& names, Key key) {
    auto found = names.find(key);
    return found == names.end() ? fmt::format("#{}", key.value) : found->second;
}

std::string to_line(StoredSession const& session) {
    auto line = fmt::format(
        "{} listener={} mount={} user={} expiry={} connected={} expires={} "
        "will_at={}",
        session.client_id, session.listener, session.mount_point, session.user_name.value_or("-"),
        session.expiry_interval, session.is_connected, session.expires_at, session.will_at);
    if (session.will) {
        line += fmt::format(" will={}:{}", session.will->topic, as_text(session.will->payload));
    }
    return line;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, StoreKind kind) {
    return out << (kind == StoreKind::reference ? "ReferenceStore" : "RocksDbStore");
}

std::string to_line(MessagePtr const& message) {
    if (!message) return "-";
    return fmt::format("{}:{} qos={} retain={} deadline={} properties={}", message->topic(),
                       as_text(message->payload()), static_cast<int>(message->qos()),
                       message->retain(), message->deadline(),
                       message->forwarded_properties().size()) +
           (message->wants_receipt()
                ? fmt::format(" receipts to {} {}", message->receipt_request().mount_size,
                              message->receipt_request().topic)
                : "");
}

class StoreFixture::Visitor final : public StoreVisitor {
public:
    struct Delivery {
        SessionNumber session{};
        StoredAs as{};
        std::size_t line = 0;
    };

    explicit Visitor(StoreFixture& fixture) : fixture_(fixture) {}

    void on_session(StoredSession session) override {
        loaded.lines.push_back("session " + name(session.number) + ": " + to_line(session));
        loaded.sessions.push_back(std::move(session));
    }
    void on_subscription(SessionNumber session, std::string_view filter,
                         StoredSubscription const& subscription) override {
        loaded.lines.push_back(fmt::format(
            "subscription {} {}: id={} qos={} no_local={} as_published={}", name(session), filter,
            subscription.identifier, static_cast<int>(subscription.qos), subscription.no_local,
            subscription.retain_as_published));
    }
    void on_inbound(SessionNumber session, mqtt::PacketId id) override {
        loaded.lines.push_back(fmt::format("inbound {} {}", name(session), id.value));
    }
    void on_delivery(StoredDelivery delivery, std::optional<StoredProgress> progress) override {
        std::string line = fmt::format(
            "delivery {} {}: size={} qos={} retain={} deadline={} share={} ids=",
            name(delivery.session), name_in(fixture_.delivery_names_, delivery.as.number),
            delivery.message_size, static_cast<int>(delivery.qos), delivery.retain,
            delivery.deadline, delivery.share.value);
        delivery.ids.each([&](std::uint32_t id) { line += fmt::format("{},", id); });
        if (delivery.wants_receipt) line += " receipt";
        if (progress) {
            line += fmt::format(" state={} send={} released={}", static_cast<int>(progress->state),
                                progress->send_number, progress->released);
        }
        deliveries.push_back({delivery.session, delivery.as, loaded.lines.size()});
        loaded.lines.push_back(std::move(line));
    }
    void on_retained(MessagePtr message) override {
        loaded.lines.push_back("retained " + test::to_line(message));
    }

    Loaded loaded{};
    std::vector<Delivery> deliveries{};

private:
    std::string name(SessionNumber session) const {
        return name_in(fixture_.session_names_, session);
    }

    StoreFixture& fixture_;
};

StoreFixture::StoreFixture(StoreKind kind) : kind_(kind) {
    settings_.directory = folder_ / "store";
    open();
    REQUIRE(load(kNow).lines.empty());
}

StoreFixture::StoreFixture(StoreSettings settings)
    : kind_(StoreKind::rocksdb), settings_(std::move(settings)) {
    settings_.directory = folder_ / "store";
    open();
    REQUIRE(load(kNow).lines.empty());
}

StoreFixture::~StoreFixture() {
    store_->stop();
}

void StoreFixture::open() {
    switch (kind_) {
        case StoreKind::reference:
            if (!store_) store_ = std::make_unique<ReferenceStore>();
            return;
        case StoreKind::rocksdb:
            store_.reset();
            store_ = std::make_unique<RocksDbStore>(settings_);
            return;
    }
}

Loaded StoreFixture::load(WallTime now) {
    Visitor visitor{*this};
    store_->load(visitor, now);
    start();
    for (auto const& delivery : visitor.deliveries) {
        visitor.loaded.lines[delivery.line] += " " + read(delivery.session, {delivery.as}).at(0);
    }
    return std::move(visitor.loaded);
}

void StoreFixture::restart() {
    store_->stop();
    open();
    Visitor visitor{*this};
    store_->load(visitor, kNow);
    start();
}

void StoreFixture::start() {
    store_->start({.wake =
                       [this](std::uint8_t index) {
                           std::lock_guard lock{mutex_};
                           ++wakes_[index];
                           woken_.notify_all();
                       },
                   .find_retained =
                       [this](std::string_view topic) {
                           std::lock_guard lock{mutex_};
                           auto found = retained_.find(topic);
                           return found == retained_.end() ? MessagePtr{} : found->second;
                       }});
}

RocksDbStore& StoreFixture::rocksdb() {
    auto* store = dynamic_cast<RocksDbStore*>(store_.get());
    REQUIRE(store != nullptr);
    return *store;
}

Loaded StoreFixture::reopen(WallTime now) {
    store_->stop();
    open();
    return load(now);
}

void StoreFixture::commit(std::uint8_t index) {
    auto& shard_store = shard(index);
    shard_store.submit();
    await([&] {
        return shard_store.durable() == shard_store.last_ticket() &&
               (kind_ == StoreKind::reference || rocksdb().has_settled());
    });
}

void StoreFixture::await(std::function<bool()> const& holds) {
    std::unique_lock lock{mutex_};
    auto is_true = [&] {
        lock.unlock();
        auto answer = holds();
        lock.lock();
        return answer;
    };
    auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    for (;;) {
        auto before = wakes_;
        if (is_true()) return;
        auto has_news = [&] { return wakes_ != before; };
        if (!woken_.wait_until(lock, limit, has_news)) FAIL("the store has not woken its shard");
    }
}

std::size_t StoreFixture::wakes(std::uint8_t index) const {
    std::lock_guard lock{mutex_};
    auto found = wakes_.find(index);
    return found == wakes_.end() ? 0 : found->second;
}

std::vector<std::string> StoreFixture::read(SessionNumber session,
                                            std::vector<StoredAs> const& deliveries,
                                            std::uint8_t index) {
    SessionRef asker{7, 3, index};
    shard(index).read(asker, session, deliveries);
    std::vector<LoadedMessage> answers;
    await([&] {
        shard(index).take_loaded(answers);
        return answers.size() >= deliveries.size();
    });
    REQUIRE(answers.size() == deliveries.size());
    std::vector<std::string> lines;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        REQUIRE(answers[i].session == asker);
        REQUIRE(answers[i].number == deliveries[i].number);
        lines.push_back(to_line(answers[i].message));
    }
    return lines;
}

void StoreFixture::set_retained(std::string const& topic, MessagePtr message) {
    std::lock_guard lock{mutex_};
    retained_[topic] = std::move(message);
}

SessionNumber StoreFixture::add_session(std::string const& name, std::uint8_t index) {
    auto number = shard(index).new_session_number();
    name_session(number, name);
    StoredSession session;
    session.number = number;
    session.client_id = name;
    session.expiry_interval = 60;
    shard(index).put_session(std::move(session));
    return number;
}

std::vector<StoredAs> StoreFixture::add_message(std::string const& name,
                                                std::vector<SessionNumber> const& sessions,
                                                std::uint8_t index) {
    auto as = shard(index).reserve(static_cast<std::uint32_t>(sessions.size()));
    auto message = sample_message(name, "payload of " + name);
    std::vector<StoredDelivery> deliveries;
    std::vector<StoredAs> all;
    for (auto session : sessions) {
        StoredDelivery delivery;
        delivery.session = session;
        delivery.as = as;
        delivery.message_size = static_cast<std::uint32_t>(message->footprint());
        deliveries.push_back(std::move(delivery));
        all.push_back(as);
        name_delivery(as.number, name + "." + std::to_string(all.size()));
        as = following(as);
    }
    shard(index).put_message(std::move(message), deliveries);
    return all;
}

void StoreFixture::name_session(SessionNumber number, std::string name) {
    session_names_[number] = std::move(name);
}

void StoreFixture::name_delivery(DeliveryNumber number, std::string name) {
    delivery_names_[number] = std::move(name);
}

}  // namespace spoke::test
