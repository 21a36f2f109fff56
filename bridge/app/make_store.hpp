#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>

#include "bridge/config/config.hpp"
#include "bridge/store/store.hpp"

namespace spoke::bridge {

/// The store that is configured; what it completes runs on `context`, which outlives it. Says in
/// the log where it is. Errors  std::runtime_error, one line for people.
[[nodiscard]] std::unique_ptr<Store> make_store(StoreConfig const& config,
                                                boost::asio::io_context& context);

}  // namespace spoke::bridge
