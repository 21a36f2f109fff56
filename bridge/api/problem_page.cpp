#include "bridge/api/problem_page.hpp"

#include <fmt/format.h>

namespace spoke::bridge {
namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '<') {
            out += "&lt;";
        } else if (c == '&') {
            out += "&amp;";
        } else {
            out += c;
        }
    }
    return out;
}

}  // namespace

std::string problem_page(ProblemType const& type) {
    return fmt::format(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>{0}</title>\n"
        "<h1>{1}</h1>\n<p><code>{0}</code>, status {2}</p>\n"
        "<h2>What it means</h2>\n<p>{3}</p>\n"
        "<p>As with every error of this API: the request has sent nothing, and nothing will be "
        "sent because of it.</p>\n"
        "<h2>What to do</h2>\n<p>{4}</p>\n</html>\n",
        type.name, escaped(type.title), type.status, escaped(type.meaning), escaped(type.remedy));
}

}  // namespace spoke::bridge
