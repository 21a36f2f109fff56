#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/documents.hpp"

namespace spoke::bridge {
namespace {

Problem with_retry(Problem problem, std::string seconds) {
    problem.headers.emplace_back("Retry-After", std::move(seconds));
    return problem;
}

}  // namespace

HttpResponse Api::refuse(Refusal refusal, CommandRequest const& request) const {
    std::vector<std::pair<std::string_view, std::string>> lane{{"device", request.device},
                                                               {"lane", request.lane}};
    switch (refusal) {
        case Refusal::no_such_device:
            return to_response(Problem{ProblemKind::no_such_device,
                                       "no birth or state of it has been seen",
                                       {{"device", request.device}}});
        case Refusal::denied:
            return to_response(Problem{ProblemKind::denied,
                                       "its record forbids the verb",
                                       {{"device", request.device}, {"do", request.verb}}});
        case Refusal::device_offline:
            return refuse_offline(request.device);
        case Refusal::precondition:
            return refuse_precondition(request.device);
        case Refusal::key_reused:
            return to_response(Problem{ProblemKind::key_reused,
                                       "an earlier request with this key or ref had another body"});
        case Refusal::lane_busy:
            return to_response(
                Problem{ProblemKind::lane_busy, "\"if_busy\" is \"fail\"", std::move(lane)});
        case Refusal::lane_full:
            return to_response(with_retry(
                {ProblemKind::rate, "too many orders wait in this lane", std::move(lane)}, "5"));
        case Refusal::too_many_keys:
            return to_response(
                with_retry({ProblemKind::rate, "too many keys lead to this order"}, "5"));
        case Refusal::store_full:
            return to_response(with_retry(
                {ProblemKind::log_full, "the bridge keeps as many records as it may"}, "60"));
        case Refusal::broker_down:
            return to_response(
                with_retry({ProblemKind::broker_down, service_.broker_problem()}, "2"));
    }
    return to_response(Problem{ProblemKind::internal});
}

HttpResponse Api::refuse_offline(std::string const& id) const {
    Problem problem{ProblemKind::device_offline, {}, {{"device", id}}};
    if (auto const* device = service_.devices().find(id)) {
        auto presence = service_.devices().presence(*device, service_.now().steady);
        problem.members.emplace_back("presence", name_of(presence));
        if (device->last_seen) {
            problem.members.emplace_back("last_seen", rfc3339(*device->last_seen));
        }
        if (device->wake) problem.members.emplace_back("next_wake", rfc3339(*device->wake));
    }
    return to_response(problem);
}

HttpResponse Api::refuse_precondition(std::string const& id) const {
    Problem problem{ProblemKind::precondition, {}, {{"device", id}}};
    if (auto const* device = service_.devices().find(id)) {
        if (!device->state.empty()) problem.json_members.emplace_back("state", device->state);
        if (device->state_at) {
            auto age = service_.now().wall - *device->state_at;
            problem.json_members.emplace_back("state_age_ms", std::to_string(age.count()));
        }
    }
    return to_response(problem);
}

}  // namespace spoke::bridge
