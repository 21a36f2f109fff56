#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/static_files.hpp"

namespace spoke::bridge {

void Api::show_example(Call call) {
    if (!settings_.examples) return call.refuse({ProblemKind::no_such_path});
    call.respond(static_response(example_files(), call.parts[0], call.request));
}

/// The pages name their files relative to the folder, which needs its slash.
void Api::find_examples(Call call) {
    if (!settings_.examples) return call.refuse({ProblemKind::no_such_path});
    HttpResponse response;
    response.status = 308;
    response.headers.emplace_back("Location", "/examples/");
    call.respond(std::move(response));
}

}  // namespace spoke::bridge
