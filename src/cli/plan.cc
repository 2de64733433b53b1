#include "cli/plan.h"

#include <cctype>
#include <memory>
#include <string>

#include "base/file.h"
#include "cli/common.h"
#include "cli/plan_calibrate.h"
#include "cli/plan_page.h"
#include "plan/html_report.h"
#include "plan/options.h"
#include "plan/run.h"

namespace fathom {
namespace {

// What was typed, in the order of the table.
struct Typed {
  explicit Typed(const PlanCommand& command)
      : texts(command.options.size()), flags(std::make_unique<bool[]>(command.options.size())) {}

  std::vector<std::string> texts;
  std::unique_ptr<bool[]> flags;
  std::string html, drivers;
  bool json = false, csv = false;
};

std::string HelpOf(const PlanOption& option) {
  std::string help = option.help;
  // Most phrases begin with what is counted.
  std::string lower = help;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const bool said = lower.find(option.unit) != std::string::npos;
  if (option.unit != "1" && !said) help += " (" + option.unit + ")";
  if (option.kind == PlanOption::Kind::kChoice || option.kind == PlanOption::Kind::kName) {
    help += ":";
    for (const std::string& choice : option.choices) help += " " + choice;
  }
  if (!option.fallback.empty()) help += " [" + option.fallback + "]";
  return help;
}

// What stands for the value in the help.
const char* TypeOf(const PlanOption& option) {
  switch (option.kind) {
    case PlanOption::Kind::kNumber:
      return "NUMBER";
    case PlanOption::Kind::kInteger:
      return "N";
    case PlanOption::Kind::kFile:
      return "FILE";
    case PlanOption::Kind::kText:
      return "TEXT";
    case PlanOption::Kind::kFlag:
    case PlanOption::Kind::kModel:
      return "";
    case PlanOption::Kind::kChoice:
    case PlanOption::Kind::kName:
      return "NAME";
  }
  return "";
}

void Add(const PlanCommand& table, Command plan) {
  Command command = plan.AddCommand(table.name, table.help);
  command.Footer("Example: " + table.example);
  const auto typed = std::make_shared<Typed>(table);
  for (size_t i = 0; i < table.options.size(); ++i) {
    const PlanOption& option = table.options[i];
    const std::string name = "--" + option.name;
    Option added = option.kind == PlanOption::Kind::kFlag
                       ? command.AddFlag(name, typed->flags[i], option.help)
                       : command.AddOption(option.positional ? "MODEL" : name, typed->texts[i],
                                           HelpOf(option));
    if (option.kind != PlanOption::Kind::kFlag) added.TypeName(TypeOf(option));
    if (!option.group.empty()) added.Group(option.group);
  }
  const char* output = "Output";
  command.AddFlag("--json", typed->json, "Print the result as JSON").Group(output);
  command.AddFlag("--csv", typed->csv, "Print the result as CSV")
      .Excludes(command.GetOption("--json"))
      .Group(output);
  command
      .AddOption("--html", typed->html,
                 "Write the report with charts to this file, which needs nothing else")
      .TypeName("FILE")
      .Group(output);
  command
      .AddOption("--drivers", typed->drivers,
                 "Print what drives the row of this key too (--json has the keys), or `all`")
      .TypeName("KEY")
      .Group(output);
  command.OnRun([typed, &table] {
    PlanOptions options(table);
    for (size_t i = 0; i < table.options.size(); ++i) {
      if (typed->flags[i]) options.Set(table.options[i].name, "true");
      if (!typed->texts[i].empty()) options.Set(table.options[i].name, typed->texts[i]);
    }
    const Report report = RunPlan(options);
    if (!typed->html.empty()) {
      WriteFileAtomically(typed->html, ReportHtml(report, CommandLine(options)));
    }
    WriteStandardOutput(typed->json  ? report.ToJson()
                        : typed->csv ? report.ToCsv()
                                     : report.ToTable(OutputWidth(), typed->drivers));
  });
}

}  // namespace

void AddPlanCommand(Command app) {
  Command command = app.AddCommand("plan", "What training and serving a model cost.");
  command.Footer("Example: fathom plan train v3; fathom plan serve v3 --json");
  command.RequireCommand();
  for (const PlanCommand& table : PlanCommands()) Add(table, command);
  AddPlanPageCommand(command);
  AddPlanCalibrate(command);
}

}  // namespace fathom
