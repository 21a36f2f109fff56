#include "bridge/store/hook_rows.hpp"

#include <fmt/format.h>

#include <array>
#include <stdexcept>

#include "bridge/store/rows.hpp"

namespace spoke::bridge {
namespace {

WallTime time_of(std::int64_t ms) {
    return WallTime{std::chrono::milliseconds{ms}};
}

std::int64_t ms_of(WallTime time) {
    return time.time_since_epoch().count();
}

std::string_view name_of(DeliveryState state) {
    return state == DeliveryState::dead ? "dead" : "waiting";
}

/// The one of `choices` whose name this is.
template <class Enum, std::size_t N>
Enum choice_of(std::string_view text, std::array<Enum, N> const& choices) {
    for (auto choice : choices) {
        if (name_of(choice) == text) return choice;
    }
    throw std::runtime_error{fmt::format("{:?} is not known", text)};
}

HookFormat format_of(std::string_view text) {
    return choice_of(text, std::array{HookFormat::plain, HookFormat::cloudevents});
}

Hook read_hook(SqliteStatement const& row) {
    try {
        Hook hook;
        hook.name = row.text(0);
        hook.url = row.text(1);
        hook.topics = texts_of(row.text(2));
        hook.format = format_of(row.text(3));
        hook.state = choice_of(
            row.text(4), std::array{HookState::active, HookState::paused, HookState::disabled});
        hook.why = row.text(5);
        hook.secret = row.text(6);
        hook.old_secret = row.text(7);
        hook.old_secret_until = time_of(row.integer(8));
        hook.begin = static_cast<std::uint64_t>(row.integer(9));
        hook.version = static_cast<std::uint32_t>(row.integer(10));
        return hook;
    } catch (std::exception const& error) {
        throw std::runtime_error{fmt::format("hook {}: {}", row.text(0), error.what())};
    }
}

HookDelivery read_delivery(SqliteStatement const& row) {
    try {
        HookDelivery delivery;
        delivery.hook = row.text(0);
        delivery.id = row.text(1);
        delivery.offset = static_cast<std::uint64_t>(row.integer(2));
        delivery.topic = row.text(3);
        delivery.format = format_of(row.text(4));
        delivery.state =
            choice_of(row.text(5), std::array{DeliveryState::waiting, DeliveryState::dead});
        delivery.attempts = static_cast<std::uint32_t>(row.integer(6));
        delivery.made_at = time_of(row.integer(7));
        delivery.due_at = time_of(row.integer(8));
        delivery.outcome = row.text(9);
        return delivery;
    } catch (std::exception const& error) {
        throw std::runtime_error{
            fmt::format("delivery {} of hook {}: {}", row.text(1), row.text(0), error.what())};
    }
}

}  // namespace

HookWriter::HookWriter(SqliteConnection& connection)
    : hook_(connection.prepare(
          "INSERT OR REPLACE INTO hooks (name, url, topics, format, state, why, secret, old_secret, "
          "old_secret_until, begin, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
          "?11)")),
      erase_hook_(connection.prepare("DELETE FROM hooks WHERE name = ?1")),
      erase_deliveries_(connection.prepare("DELETE FROM hook_deliveries WHERE hook = ?1")),
      delivery_(connection.prepare(
          "INSERT INTO hook_deliveries (hook, id, offset, topic, format, state, attempts, made_at, "
          "due_at, outcome, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON "
          "CONFLICT (hook, id) DO UPDATE SET state = excluded.state, attempts = "
          "excluded.attempts, made_at = excluded.made_at, due_at = excluded.due_at, outcome = "
          "excluded.outcome, format = excluded.format, body = CASE WHEN excluded.body = '' THEN "
          "body ELSE excluded.body END")),
      erase_delivery_(
          connection.prepare("DELETE FROM hook_deliveries WHERE hook = ?1 AND id = ?2")) {}

void HookWriter::write(HookWrite const& record) {
    std::visit([this](auto const& one) { write(one); }, record);
}

void HookWriter::write(Hook const& hook) {
    auto topics = json_of(hook.topics);
    hook_.bind(1, hook.name).bind(2, hook.url).bind(3, topics);
    hook_.bind(4, spoke::bridge::name_of(hook.format)).bind(5, spoke::bridge::name_of(hook.state));
    hook_.bind(6, hook.why).bind(7, hook.secret).bind(8, hook.old_secret);
    hook_.bind(9, ms_of(hook.old_secret_until)).bind(10, static_cast<std::int64_t>(hook.begin));
    hook_.bind(11, std::int64_t{hook.version}).run();
}

void HookWriter::write(ErasedHook const& erased) {
    erase_deliveries_.bind(1, erased.name).run();
    erase_hook_.bind(1, erased.name).run();
}

void HookWriter::write(HookDelivery const& delivery) {
    auto& to = delivery_;
    to.bind(1, delivery.hook).bind(2, delivery.id);
    to.bind(3, static_cast<std::int64_t>(delivery.offset)).bind(4, delivery.topic);
    to.bind(5, spoke::bridge::name_of(delivery.format)).bind(6, name_of(delivery.state));
    to.bind(7, std::int64_t{delivery.attempts}).bind(8, ms_of(delivery.made_at));
    to.bind(9, ms_of(delivery.due_at)).bind(10, delivery.outcome).bind(11, delivery.body).run();
}

void HookWriter::write(ErasedDelivery const& erased) {
    erase_delivery_.bind(1, erased.hook).bind(2, erased.id).run();
}

HookReader::HookReader(SqliteConnection& connection)
    : body_(connection.prepare("SELECT body FROM hook_deliveries WHERE hook = ?1 AND id = ?2")),
      hooks_(connection.prepare(
          "SELECT name, url, topics, format, state, why, secret, old_secret, old_secret_until, "
          "begin, version FROM hooks ORDER BY name")),
      deliveries_(connection.prepare(
          "SELECT hook, id, offset, topic, format, state, attempts, made_at, due_at, outcome FROM "
          "hook_deliveries ORDER BY hook, offset, id")) {}

std::optional<std::string> HookReader::body(std::string_view hook, std::string_view id) {
    SqliteReset reset{body_};
    body_.bind(1, hook).bind(2, id);
    if (!body_.step()) return std::nullopt;
    return std::string{body_.text(0)};
}

void HookReader::visit_hooks(std::function<void(Hook&&)> const& visit) {
    SqliteReset reset{hooks_};
    while (hooks_.step()) visit(read_hook(hooks_));
}

void HookReader::visit_deliveries(std::function<void(HookDelivery&&)> const& visit) {
    SqliteReset reset{deliveries_};
    while (deliveries_.step()) visit(read_delivery(deliveries_));
}

}  // namespace spoke::bridge
