#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <vector>

#include "bridge/config/config.hpp"
#include "bridge/event/event_store.hpp"
#include "bridge/store/hook_store.hpp"
#include "bridge/store/store.hpp"

namespace spoke::bridge {

/// The records, the events, the webhooks; they may be one object.
struct Stores {
    std::shared_ptr<Store> records;
    std::shared_ptr<EventStore> events;
    std::shared_ptr<HookStore> hooks;
};

/// The store that is configured; what it completes runs on `context`, which outlives it. Says in
/// the log where it is. Errors  std::runtime_error, one line for people.
[[nodiscard]] Stores make_stores(StoreConfig const& config, EventsConfig const& events,
                                 boost::asio::io_context& context);

/// The classes of events that are configured.
[[nodiscard]] std::vector<EventClass> event_classes(EventsConfig const& config);

}  // namespace spoke::bridge
