#pragma once

#include <memory>
#include <string>

#include "broker/config/config.hpp"
#include "broker/core/ports/store.hpp"

namespace spoke::broker {

/// The store that the configuration asks for. Throws StoreError, with one line that says what to
/// do.
[[nodiscard]] std::unique_ptr<Store> make_store(PersistenceConfig const& config);

/// When what is acknowledged is on the disk, as `$SYS/broker/persistence/sync` tells it: "off",
/// "always", "interval 100 ms", "never".
[[nodiscard]] std::string sync_name(PersistenceConfig const& config);

/// The same, for people, in one line of the log.
void say_what_is_kept(PersistenceConfig const& config);

}  // namespace spoke::broker
