//! No function of the C ABI can reach an import. The module's own call graph proves it.

use std::collections::{BTreeMap, BTreeSet};

use stream_processor_tests::module;
use wasmparser::{ElementItems, ExternalKind, Operator, Parser, Payload, TypeRef};

/// The call graph of a module. Functions are numbered as in the module: imports first.
#[derive(Default)]
struct CallGraph {
    imports: Vec<String>,
    exports: BTreeMap<String, u32>,
    /// The type of each function.
    types: Vec<u32>,
    /// The functions in tables: the possible targets of an indirect call of the same type.
    in_tables: BTreeSet<u32>,
    calls: BTreeMap<u32, BTreeSet<u32>>,
    /// The types of each function's indirect calls.
    indirect: BTreeMap<u32, BTreeSet<u32>>,
}

impl CallGraph {
    fn of(module: &[u8]) -> Self {
        let mut graph = Self::default();
        let mut next_body = 0;
        for payload in Parser::new(0).parse_all(module) {
            match payload.expect("a valid module") {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.expect("an import");
                        if let TypeRef::Func(kind) = import.ty {
                            graph.imports.push(format!("{}.{}", import.module, import.name));
                            graph.types.push(kind);
                        }
                    }
                    next_body = u32::try_from(graph.imports.len()).unwrap();
                }
                Payload::FunctionSection(section) => {
                    graph.types.extend(section.into_iter().map(|kind| kind.expect("a function")));
                }
                Payload::ExportSection(section) => {
                    for export in section.into_iter().map(|export| export.expect("an export")) {
                        if export.kind == ExternalKind::Func {
                            graph.exports.insert(export.name.to_owned(), export.index);
                        }
                    }
                }
                Payload::ElementSection(section) => {
                    for element in section.into_iter().map(|element| element.expect("an element")) {
                        graph.add_element(element.items);
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    graph.add_body(next_body, &body);
                    next_body += 1;
                }
                _ => {}
            }
        }
        graph
    }

    fn add_element(&mut self, items: ElementItems<'_>) {
        match items {
            ElementItems::Functions(functions) => {
                self.in_tables.extend(functions.into_iter().map(|function| function.unwrap()));
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    for operator in expression.unwrap().get_operators_reader() {
                        if let Operator::RefFunc { function_index } = operator.unwrap() {
                            self.in_tables.insert(function_index);
                        }
                    }
                }
            }
        }
    }

    fn add_body(&mut self, function: u32, body: &wasmparser::FunctionBody<'_>) {
        let (calls, indirect) =
            (self.calls.entry(function).or_default(), self.indirect.entry(function).or_default());
        for operator in body.get_operators_reader().unwrap() {
            match operator.unwrap() {
                Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                    calls.insert(function_index);
                }
                Operator::CallIndirect { type_index, .. }
                | Operator::ReturnCallIndirect { type_index, .. } => {
                    indirect.insert(type_index);
                }
                Operator::RefFunc { function_index } => {
                    self.in_tables.insert(function_index);
                }
                _ => {}
            }
        }
    }

    /// Returns a path of calls from `from` to an import, if there is one.
    fn path_to_an_import(&self, from: u32) -> Option<Vec<u32>> {
        let mut callers: BTreeMap<u32, u32> = BTreeMap::new();
        let mut open = vec![from];
        while let Some(function) = open.pop() {
            if (function as usize) < self.imports.len() {
                let mut path = vec![function];
                while let Some(before) =
                    callers.get(path.last()?).filter(|_| path.last() != Some(&from))
                {
                    path.push(*before);
                }
                path.reverse();
                return Some(path);
            }
            let direct = self.calls.get(&function).into_iter().flatten().copied();
            let types = self.indirect.get(&function);
            let fits = |target: &u32| {
                types.is_some_and(|types| types.contains(&self.types[*target as usize]))
            };
            let indirect = self.in_tables.iter().copied().filter(fits);
            for next in direct.chain(indirect) {
                if next != from && !callers.contains_key(&next) {
                    callers.insert(next, function);
                    open.push(next);
                }
            }
        }
        None
    }
}

#[test]
fn no_path_of_the_c_abi_reaches_an_import() {
    let graph = CallGraph::of(&module());
    assert!(!graph.imports.is_empty(), "the classes for JavaScript import something");
    let functions: Vec<(&String, &u32)> =
        graph.exports.iter().filter(|(name, _)| name.starts_with("sp_")).collect();
    assert!(functions.len() >= 18, "{functions:?}");
    for (name, function) in functions {
        if let Some(path) = graph.path_to_an_import(*function) {
            let import = &graph.imports[*path.last().unwrap() as usize];
            panic!("{name} reaches the import {import} through the functions {path:?}");
        }
    }
    let class = graph.exports.iter().find(|(name, _)| name.contains("_push_text"));
    let (_, class) = class.expect("a method for JavaScript");
    assert!(
        graph.path_to_an_import(*class).is_some(),
        "the search finds imports where they are called"
    );
}

#[test]
fn module_imports_only_functions_of_the_js_glue() {
    for import in CallGraph::of(&module()).imports {
        assert!(import.contains("__wbg") || import.contains("__wbindgen"), "{import}");
    }
}
