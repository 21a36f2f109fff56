#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "bridge/store/hook_store.hpp"
#include "bridge/store/sqlite.hpp"

namespace spoke::bridge {

/// A webhook that is removed, with its deliveries.
struct ErasedHook {
    std::string name;
};

/// A delivery that is over.
struct ErasedDelivery {
    std::string hook;
    std::string id;
};

/// One call of a HookStore, on its way to the disk.
using HookWrite = std::variant<Hook, ErasedHook, HookDelivery, ErasedDelivery>;

/// Writes webhooks and deliveries, in transactions which somebody else begins and ends.
/// Errors  SqliteError.  Thread  that of the connection.
class HookWriter {
public:
    explicit HookWriter(SqliteConnection& connection);

    void write(HookWrite const& record);

private:
    void write(Hook const& hook);
    void write(ErasedHook const& erased);
    void write(HookDelivery const& delivery);
    void write(ErasedDelivery const& erased);

    SqliteStatement hook_;
    SqliteStatement erase_hook_;
    SqliteStatement erase_deliveries_;
    SqliteStatement delivery_;
    SqliteStatement erase_delivery_;
};

/// Reads them; sees what has been committed.
/// Errors  std::runtime_error from every read.  Thread  that of the connection.
class HookReader {
public:
    explicit HookReader(SqliteConnection& connection);

    [[nodiscard]] std::optional<std::string> body(std::string_view hook, std::string_view id);
    void visit_hooks(std::function<void(Hook&&)> const& visit);
    void visit_deliveries(std::function<void(HookDelivery&&)> const& visit);

private:
    SqliteStatement body_;
    SqliteStatement hooks_;
    SqliteStatement deliveries_;
};

}  // namespace spoke::bridge
