// Handlers of volumes and devices. Formatting happens in create_volume alone, and erasing data only when it was asked
// for.
#include <boost/json/array.hpp>
#include <charconv>

#include "agent/control/render.hpp"
#include "agent/control/routes.hpp"
#include "dmtarget/error.hpp"
#include "dmtarget/name.hpp"

namespace volcrypt::control {

namespace {

std::string name_in(const http::Request& request) {
  const std::string& name = request.path_values.at("name");
  dm::check_volume_name(name);
  return name;
}

std::string device_in(http::JsonObject& body) {
  std::string device = body.string("device");
  if (device.size() < 2 || device.front() != '/' || device.size() > 4096) {
    throw Error(errc::invalid_argument, {"use the device", "", "Give its absolute path, for example /dev/sdb."});
  }
  return device;
}

std::chrono::seconds timeout_in(const http::Request& request) {
  for (const auto& [name, value] : request.query) {
    if (name != "timeout") expect_no_query(request);
  }
  const auto found = request.query.find("timeout");
  if (found == request.query.end()) return std::chrono::seconds(0);
  unsigned seconds = 0;
  const char* end = found->second.data() + found->second.size();
  const auto [stopped, failed] = std::from_chars(found->second.data(), end, seconds);
  if (failed != std::errc() || stopped != end || seconds > 3600) {
    throw Error(errc::invalid_argument,
                {"read", "the query parameter 'timeout'", "It is a number of seconds up to 3600."});
  }
  return std::chrono::seconds(seconds);
}

std::optional<Uuid> id_in(const http::Request& request) {
  for (const auto& [name, value] : request.query) {
    if (name != "id") expect_no_query(request);
  }
  const auto found = request.query.find("id");
  if (found == request.query.end()) return std::nullopt;
  return Uuid::parse(found->second);
}

json::array render_all(const std::vector<volumes::VolumeView>& views) {
  json::array all;
  for (const auto& view : views) all.emplace_back(render(view));
  return all;
}

}  // namespace

asio::awaitable<http::Response> Routes::get_volumes(http::Request request) {
  expect_plain(request);
  const std::vector<volumes::VolumeView> views = co_await services_.list_volumes();
  co_return answer(json::object{{"volumes", render_all(views)}});
}

asio::awaitable<http::Response> Routes::get_volume(http::Request request) {
  expect_plain(request);
  const volumes::VolumeView view = co_await services_.volumes().get(name_in(request));
  co_return answer(render(view));
}

asio::awaitable<http::Response> Routes::create_volume(http::Request request) {
  expect_no_query(request);
  auto body = body_of(request);
  volumes::CreateRequest create;
  create.name = body.string("name");
  create.device = device_in(body);
  if (body.flag("eraseExistingData", false)) create.existing = dm::ExistingData::erase;
  if (body.flag("allowDiscards", false)) create.discards = dm::Discards::passed_down;
  body.finish();
  dm::check_volume_name(create.name);
  const volumes::Outcome outcome = co_await services_.volumes().create(std::move(create));
  co_return answer(render(outcome), outcome.changed == dm::Changed::yes ? 201 : 200);
}

asio::awaitable<http::Response> Routes::delete_volume(http::Request request) {
  body_of(request).finish();
  const std::optional<Uuid> confirmed = id_in(request);
  const dm::Changed changed = co_await services_.volumes().erase(name_in(request), confirmed);
  co_return answer(json::object{{"changed", changed == dm::Changed::yes}});
}

asio::awaitable<http::Response> Routes::forget_volume(http::Request request) {
  expect_plain(request);
  const dm::Changed changed = co_await services_.volumes().forget(name_in(request));
  co_return answer(json::object{{"changed", changed == dm::Changed::yes}});
}

asio::awaitable<http::Response> Routes::attach_volume(http::Request request) {
  expect_no_query(request);
  auto body = body_of(request);
  const std::string name = name_in(request);
  std::optional<std::string> device;
  if (body.has("device")) device = device_in(body);
  body.ignore("device");
  const auto take_over = body.flag("takeOver", false) ? volumes::TakeOver::by_order : volumes::TakeOver::if_gone;
  body.finish();
  volumes::Outcome outcome;
  if (device) {
    outcome = co_await services_.volumes().attach_from(name, *device, take_over);
  } else {
    outcome = co_await services_.volumes().attach(name, take_over);
  }
  co_return answer(render(outcome));
}

asio::awaitable<http::Response> Routes::detach_volume(http::Request request) {
  expect_plain(request);
  const volumes::Outcome outcome = co_await services_.volumes().detach(name_in(request));
  co_return answer(render(outcome));
}

asio::awaitable<http::Response> Routes::attach_device(http::Request request) {
  expect_no_query(request);
  auto body = body_of(request);
  std::string device = device_in(body);
  body.finish();
  const volumes::Outcome outcome = co_await services_.volumes().attach_device(std::move(device));
  co_return answer(render(outcome));
}

asio::awaitable<http::Response> Routes::get_header(http::Request request) {
  expect_plain(request);
  const Bytes backup = co_await services_.volumes().header_backup(name_in(request));
  co_return answer(json::object{{"name", name_in(request)}, {"backup", to_base64(backup)}});
}

asio::awaitable<http::Response> Routes::put_header(http::Request request) {
  expect_no_query(request);
  auto body = body_of(request);
  std::string device = device_in(body);
  std::optional<Bytes> backup = body.optional_base64("backup");
  body.finish();
  const volumes::Outcome outcome =
      co_await services_.volumes().header_restore(name_in(request), std::move(device), std::move(backup));
  co_return answer(render(outcome));
}

asio::awaitable<http::Response> Routes::get_settled(http::Request request) {
  const auto limit = timeout_in(request);
  body_of(request).finish();
  const auto membership = co_await services_.membership();
  if (!membership) co_return answer(json::object{{"settled", true}, {"missing", json::array{}}});
  const volumes::Settlement end = co_await services_.volumes().settle(limit);
  co_return answer(json::object{{"settled", end.settled}, {"missing", render_all(end.missing)}});
}

}  // namespace volcrypt::control
