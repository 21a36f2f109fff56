#include "bridge/inbox/inbox_document.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace spoke::bridge {
namespace {

/// "unread":3,"by":{"like":2,"comment":1}
std::string counts(Inbox const& inbox) {
    boost::json::object by;
    for (auto const& [type, count] : inbox.by_type()) by[type] = count;
    return fmt::format(R"("unread":{},"by":{})", inbox.messages().size(),
                       boost::json::serialize(by));
}

}  // namespace

std::string inbox_document(Inbox const& inbox, std::string_view latest, std::string_view cursor) {
    return fmt::format(R"({{{}{}{},"cursor":"{}"}})", counts(inbox),
                       latest.empty() ? "" : R"(,"latest":)", latest, cursor);
}

std::string notice_data(Inbox const& inbox, std::string_view upto) {
    return fmt::format(R"({{{},"upto":"{}"}})", counts(inbox), upto);
}

}  // namespace spoke::bridge
