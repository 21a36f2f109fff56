#include "broker/storage/load_store.hpp"

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/storage/fault_point.hpp"
#include "broker/storage/records.hpp"

namespace spoke::broker {
namespace {

class Loader {
public:
    Loader(StoreDirectory& directory, WallTime now, StoreVisitor& visitor, LiveDeliveries& live,
           LoadReport& report)
        : directory_(directory), now_(now), visitor_(visitor), live_(live), report_(report) {}

    rocksdb::Status load() {
        auto status = find_superseded();
        if (!status.ok()) return status;
        status = each(RecordFamily::session, [&](auto key, auto value) {
            auto session = decode_session(key, value);
            if (!session) return drop_damaged(key, value, session.error());
            if (superseded_.contains(session->number)) {
                ++report_.damaged;
                return directory_.discard(key, value, "its client has a later session");
            }
            take(*std::move(session));
        });
        if (status.ok()) status = load_of_sessions();
        if (status.ok()) status = load_retained();
        if (status.ok()) status = write();
        return status;
    }

private:
    template <class Visit>
    rocksdb::Status each(RecordFamily family, Visit const& visit) {
        auto status = directory_.for_each(std::string(1, static_cast<char>(family)), visit);
        return status.ok() ? write() : status;
    }

    /// A client has one session. Its last one may still be there too if the power went while the
    /// log was written and took the removal alone, or if a piece of the log is damaged.
    rocksdb::Status find_superseded() {
        std::vector<std::pair<std::size_t, SessionNumber>> sessions;  // by hash of client id
        auto status = each(RecordFamily::session, [&](auto key, auto value) {
            if (auto session = decode_session(key, value))
                sessions.emplace_back(std::hash<std::string>{}(session->client_id),
                                      session->number);
        });
        std::sort(sessions.begin(), sessions.end());
        for (std::size_t i = 1; status.ok() && i < sessions.size(); ++i) {
            auto const [hash, number] = sessions[i - 1];
            for (auto j = i; j < sessions.size() && sessions[j].first == hash; ++j) {
                if (client_of(number) == client_of(sessions[j].second)) superseded_.insert(number);
            }
        }
        return status;
    }

    std::optional<std::string> client_of(SessionNumber session) {
        auto key = session_key(session);
        std::string value;
        if (!directory_.get()->Get({}, key, &value).ok()) return std::nullopt;
        auto decoded = decode_session(key, value);
        return decoded ? std::optional{std::move(decoded->client_id)} : std::nullopt;
    }

    rocksdb::Status load_of_sessions() {
        auto status = each(RecordFamily::subscription, [&](auto key, auto value) {
            auto record = decode_subscription(key, value);
            if (!record) return drop_damaged(key, value, record.error());
            if (!is_known(record->session)) return drop_orphan(key);
            ++report_.subscriptions;
            visitor_.on_subscription(record->session, record->filter, record->subscription);
        });
        if (!status.ok()) return status;
        at_session_ = 0;
        status = each(RecordFamily::inbound, [&](auto key, auto value) {
            auto record = decode_inbound(key, value);
            if (!record) return drop_damaged(key, value, record.error());
            if (!is_known(record->session)) return drop_orphan(key);
            visitor_.on_inbound(record->session, record->id);
        });
        if (!status.ok()) return status;
        at_session_ = 0;
        return load_deliveries();
    }

    rocksdb::Status load_deliveries() {
        std::vector<std::pair<SessionNumber, StoredAs>> orphans;
        auto status = each(RecordFamily::delivery, [&](auto key, auto value) {
            auto record = decode_delivery(key, value);
            if (!record) return drop_damaged(key, value, record.error());
            auto& delivery = record->delivery;
            live_.add(delivery.as, delivery.message_size);
            if (!is_known(delivery.session)) {
                orphans.emplace_back(delivery.session, delivery.as);
                return drop_orphan(key);
            }
            ++report_.deliveries;
            visitor_.on_delivery(std::move(delivery), record->progress);
        });
        // Only now is known who else has their messages.
        for (auto const& [session, as] : orphans) {
            if (live_.remove(as) == LiveDeliveries::Removed::with_message) {
                drop(message_key(session, as));
            }
        }
        return status;
    }

    rocksdb::Status load_retained() {
        return each(RecordFamily::retained, [&](auto key, auto value) {
            auto message = decode_retained(key, value);
            if (!message) return drop_damaged(key, value, message.error());
            if ((*message)->has_expired(now_)) {
                ++report_.expired;
                return drop(key);
            }
            ++report_.retained;
            visitor_.on_retained(*std::move(message));
        });
    }

    void take(StoredSession session) {
        ++report_.sessions;
        sessions_.push_back(session.number);
        visitor_.on_session(std::move(session));
    }

    /// Sessions are asked for in the order in which they were told.
    bool is_known(SessionNumber session) noexcept {
        while (at_session_ < sessions_.size() && sessions_[at_session_] < session) ++at_session_;
        return at_session_ < sessions_.size() && sessions_[at_session_] == session;
    }

    void drop_damaged(std::string_view key, std::string_view value, RecordError error) {
        ++report_.damaged;
        directory_.discard(key, value, describe(error));
    }
    void drop_orphan(std::string_view key) {
        ++report_.orphans;
        drop(key);
    }
    void drop(std::string_view key) {
        auto status = dropped_.Delete(rocksdb::Slice{key.data(), key.size()});
        if (status.ok() && dropped_.Count() >= kDroppedMax) status = write();
        if (!status.ok() && dropping_.ok()) dropping_ = std::move(status);
    }
    /// It need not be durable: what is left of it is dropped the next time.
    rocksdb::Status write() {
        if (dropped_.Count() > 0) {
            auto status = directory_.get()->Write({}, &dropped_);
            if (!status.ok() && dropping_.ok()) dropping_ = std::move(status);
            dropped_.Clear();
            SPOKE_FAULT_POINT("load-drop");
        }
        return dropping_;
    }

    static constexpr std::uint32_t kDroppedMax = 4096;

    StoreDirectory& directory_;
    WallTime now_;
    StoreVisitor& visitor_;
    LiveDeliveries& live_;
    LoadReport& report_;
    std::set<SessionNumber> superseded_{};
    std::vector<SessionNumber> sessions_{};  // rising
    std::size_t at_session_ = 0;
    rocksdb::WriteBatch dropped_{};
    rocksdb::Status dropping_{};  // the first error
};

}  // namespace

rocksdb::Status load_store(StoreDirectory& directory, WallTime now, StoreVisitor& visitor,
                           LiveDeliveries& live, LoadReport& report) {
    SPOKE_FAULT_POINT("load");
    return Loader{directory, now, visitor, live, report}.load();
}

}  // namespace spoke::broker
