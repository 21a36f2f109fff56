#include <fmt/format.h>

#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/device_request.hpp"
#include "bridge/api/documents.hpp"

namespace spoke::bridge {
namespace {

std::string etag_of(DeviceRecord const* record) {
    return fmt::format("\"{}\"", record == nullptr ? 0 : record->version);
}

Problem no_such_device(std::string const& id) {
    return {ProblemKind::no_such_device,
            "no birth or state of it has been seen, and there is no record of it",
            {{"device", id}}};
}

Problem store_failed() {
    return {ProblemKind::log_full,
            "the store of the bridge takes no records; nothing has changed",
            {},
            {{"Retry-After", "10"}}};
}

/// If-Match and If-None-Match against the record there is (RFC 9110, 13.1).
std::optional<Problem> check_conditions(HttpRequest const& request, DeviceRecord const* record) {
    auto match = request.header("If-Match");
    auto none_match = request.header("If-None-Match");
    auto exists = record != nullptr;
    auto etag = etag_of(record);
    auto is_fine = match.empty() || (exists ? names_etag(match, etag) : match == etag);
    if (!none_match.empty() && exists && names_etag(none_match, etag)) is_fine = false;
    if (is_fine) return std::nullopt;
    return Problem{ProblemKind::record_changed,
                   exists ? "its ETag is " + etag : std::string{"there is no record"}};
}

HttpResponse show(Device const& device, Presence presence) {
    HttpResponse response;
    response.body = device_document(device, presence);
    response.headers.emplace_back("ETag", etag_of(device.record.get()));
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

}  // namespace

DeviceRecord const* Api::record_of(std::string const& id) const {
    auto const* device = service_.devices().find(id);
    return device == nullptr ? nullptr : device->record.get();
}

void Api::show_device(Call call) {
    if (auto error = check_parameters(call.target, {})) return call.respond(to_response(*error));
    auto const* device = service_.devices().find(call.parts[0]);
    if (device == nullptr) return call.refuse(no_such_device(call.parts[0]));
    call.respond(show(*device, service_.devices().presence(*device, service_.now().steady)));
}

/// One change of a record at a time: the next one sees what this one has stored.
void Api::change_record(RecordCall call, std::function<void(RecordCall const&)> change) {
    auto& waiting = changes_[call.id];
    if (waiting.size() >= kChangesMax) {
        Problem problem{ProblemKind::rate, "too many changes of this record wait"};
        problem.headers.emplace_back("Retry-After", "1");
        return call.respond(to_response(problem));
    }
    auto id = call.id;
    waiting.push_back([call = std::move(call), change = std::move(change)] { change(call); });
    if (waiting.size() == 1) run_change(id);
}

void Api::run_change(std::string const& id) {
    auto change = std::move(changes_[id].front());  // its place stays taken until it is done
    change();
}

void Api::record_done(std::string id) {
    auto found = changes_.find(id);
    found->second.pop_front();
    if (!found->second.empty()) return run_change(id);
    changes_.erase(found);
}

/// Checks the conditions of the request when its turn has come, and stores what `change` makes of
/// the record.
void Api::store_record(RecordCall asked, RecordChange change) {
    change_record(std::move(asked), [this, change = std::move(change)](RecordCall const& call) {
        auto const* old = record_of(call.id);
        auto record = old == nullptr ? DeviceRecord{} : *old;
        auto problem = check_conditions(call.request, old);
        if (problem) {
            call.respond(to_response(*problem));
            return record_done(call.id);
        }
        change(record);
        record.id = call.id;
        ++record.version;
        auto is_new = service_.devices().find(call.id) == nullptr;
        service_.put_device(record, call.caller, [this, call, is_new](bool stored) {
            answer_stored(call, stored, is_new);
            record_done(call.id);
        });
    });
}

void Api::answer_stored(RecordCall const& call, bool stored, bool is_new) {
    if (!stored) return call.respond(to_response(store_failed()));
    auto const* device = service_.devices().find(call.id);
    if (device == nullptr) {
        return call.respond(to_response(
            Problem{ProblemKind::log_full, "there are as many devices as there may be"}));
    }
    auto response = show(*device, service_.devices().presence(*device, service_.now().steady));
    if (is_new) response.status = 201;
    call.respond(std::move(response));
}

void Api::put_device(Call call) {
    auto error = check_parameters(call.target, {});
    if (!error && !is_device_id(call.parts[0])) {
        error = RequestError{
            "a device id has 1 to 128 bytes without '/', '+', '#' and control characters", "id"};
    }
    if (auto problem = check_json(call.request)) return call.refuse(*problem);
    DeviceRecord wanted;
    if (!error) error = parse_device_record(call.request.body, wanted);
    if (error) return call.respond(to_response(*error));
    auto const& devices = service_.devices();
    if (devices.find(call.parts[0]) == nullptr && devices.is_full()) {
        return call.refuse({ProblemKind::log_full,
                            "there are as many devices as there may be (devices.devices_max)",
                            {},
                            {{"Retry-After", "60"}}});
    }
    store_record(record_call(call), [wanted](DeviceRecord& record) {
        auto version = record.version;
        record = wanted;
        record.version = version;
    });
}

void Api::patch_device(Call call) {
    if (auto problem = check_json(call.request)) return call.refuse(*problem);
    DeviceRecord trial;
    auto error = check_parameters(call.target, {});
    if (!error) error = parse_device_record(call.request.body, trial);
    if (error) return call.respond(to_response(*error));
    if (service_.devices().find(call.parts[0]) == nullptr) {
        return call.refuse(no_such_device(call.parts[0]));
    }
    store_record(record_call(call), [body = call.request.body](DeviceRecord& record) {
        static_cast<void>(parse_device_record(body, record));  // it has been read before
    });
}

void Api::delete_device(Call asked) {
    if (auto error = check_parameters(asked.target, {})) return asked.respond(to_response(*error));
    change_record(record_call(asked), [this](RecordCall const& call) {
        auto problem = check_conditions(call.request, record_of(call.id));
        if (service_.devices().find(call.id) == nullptr) problem = no_such_device(call.id);
        if (problem) {
            call.respond(to_response(*problem));
            return record_done(call.id);
        }
        service_.erase_device(call.id, call.caller, [this, call](bool stored) {
            HttpResponse response;
            response.status = 204;
            call.respond(stored ? std::move(response) : to_response(store_failed()));
            record_done(call.id);
        });
    });
}

Api::RecordCall Api::record_call(Call const& call) {
    HttpRequest conditions;
    for (auto const* name : {"If-Match", "If-None-Match"}) {
        conditions.headers.emplace_back(name, call.request.header(name));
    }
    return {call.parts[0], std::move(conditions), call.caller(), call.respond};
}

}  // namespace spoke::bridge
