#pragma once

#include <string>
#include <string_view>

#include "bridge/inbox/inbox.hpp"

namespace spoke::bridge {

/// {"unread":3,"by":{"like":2,"comment":1},"latest":{...},"cursor":"k7.88"}; `latest`, the document
/// of the newest unread message, is left out if it is empty.
[[nodiscard]] std::string inbox_document(Inbox const& inbox, std::string_view latest,
                                         std::string_view cursor);

/// {"unread":0,"by":{},"upto":"k7.88"}: the data of the bridge's own events in an inbox.
[[nodiscard]] std::string notice_data(Inbox const& inbox, std::string_view upto);

}  // namespace spoke::bridge
