#include "bridge/hook/hook_document.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json.hpp>

namespace spoke::bridge {
namespace {

namespace json = boost::json;

std::string quoted(std::string_view text) {
    return json::serialize(json::value(json::string_view{text.data(), text.size()}));
}

std::string rfc3339(WallTime time) {
    auto ms = time.time_since_epoch() % std::chrono::seconds{1};
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                       fmt::gmtime(std::chrono::system_clock::to_time_t(time - ms)), ms.count());
}

/// The members that say what the data is, and the data.
std::string cloud_data(Event const& event) {
    switch (event.encoding) {
        case EventEncoding::json:
            return R"("datacontenttype":"application/json","data":)" + event.data;
        case EventEncoding::text:
            return R"("datacontenttype":"text/plain","data":)" + event.data;
        case EventEncoding::base64:
            return R"("datacontenttype":"application/octet-stream","data_base64":)" + event.data;
    }
    return {};
}

std::string cloud_event(LoggedEvent const& logged) {
    auto const& event = logged.event();
    return fmt::format(
        R"({{"specversion":"1.0","id":"{}","source":"/v1/events","type":{},"subject":{},"time":"{}","sequence":"{}",{}}})",
        logged.id(), quoted(event.type.empty() ? "message" : event.type), quoted(event.topic),
        rfc3339(event.at), event.n, cloud_data(event));
}

}  // namespace

std::string hook_body(HookFormat format, LoggedEvent const& event) {
    return format == HookFormat::cloudevents ? cloud_event(event) : *event.document();
}

std::string hook_body(HookFormat format, HookGap const& gap) {
    auto data = fmt::format(R"({{"reason":"{}","after":"{}","cursor":"{}"}})", gap.reason,
                            gap.after, gap.cursor);
    if (format == HookFormat::cloudevents) {
        return fmt::format(
            R"({{"specversion":"1.0","id":"{}","source":"/v1/events","type":"reset","time":"{}","datacontenttype":"application/json","data":{}}})",
            gap.id, rfc3339(gap.at), data);
    }
    return fmt::format(R"({{"id":"{}","type":"reset","at":"{}","data":{}}})", gap.id,
                       rfc3339(gap.at), data);
}

HookDelivery make_hook_delivery(Hook const& hook, LoggedEvent const& event) {
    HookDelivery delivery;
    delivery.hook = hook.name;
    delivery.id = event.id();
    delivery.offset = event.offset();
    delivery.topic = event.event().topic;
    delivery.body = hook_body(hook.format, event);
    delivery.format = hook.format;
    return delivery;
}

}  // namespace spoke::bridge
